#include "crosstate/circuit/condensation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/circuit/testing.h"

namespace crosstate::circuit {
namespace {

using fixtures::Array;
using fixtures::random_array;

// Small arrays are eliminated node by node, large ones by panels.
const std::vector<std::pair<std::size_t, std::size_t>> kCondensedShapes = {
    {1, 1}, {1, 7}, {7, 1}, {4, 3}, {16, 9}, {40, 37}};

std::vector<double> condensed(const Array& a, const WireOptions& wires) {
  return wires.segment > 0 ? condense_array(a.siemens, a.rows, a.columns, wires)
                           : condense_lines(a.siemens, a.rows, a.columns, wires);
}

// The array seen from the ends of its bit lines, which become word lines.
Array turned(const Array& a) {
  Array t{a.columns, a.rows, std::vector<double>(a.siemens.size()), {}};
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) {
      t.siemens[(a.columns - 1 - j) * a.rows + (a.rows - 1 - i)] = a.siemens[i * a.columns + j];
    }
  }
  return t;
}

// Reciprocity: a source and the end of a column may be exchanged.
TEST(Condensation, IsReciprocal) {
  for (const auto& [rows, columns] : kCondensedShapes) {
    const Array a = random_array(rows, columns, 3);
    for (const WireOptions& wires :
         std::vector<WireOptions>{{2, 100, 50}, {1e3, 0, 7}, {1e-4, 5, 0}, {0, 100, 50}}) {
      const std::vector<double> e = condensed(a, wires);
      const std::vector<double> back =
          condensed(turned(a), {wires.segment, wires.sense, wires.driver});
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < columns; ++j) {
          const double there = e[i * columns + j];
          EXPECT_NEAR(back[(columns - 1 - j) * rows + (rows - 1 - i)], there, 1e-11 * there);
        }
      }
    }
  }
}

// Scaling by a power of two does not change any rounding.
TEST(Condensation, ScalesWithTheConductances) {
  for (const auto& [rows, columns] : kCondensedShapes) {
    const Array a = random_array(rows, columns, 4);
    Array scaled = a;
    for (double& g : scaled.siemens) g *= 1024;
    for (const WireOptions& wires : std::vector<WireOptions>{{2, 100, 50}, {0, 100, 50}}) {
      std::vector<double> e = condensed(a, wires);
      for (double& g : e) g *= 1024;
      EXPECT_EQ(condensed(scaled, {wires.segment / 1024, wires.driver / 1024, wires.sense / 1024}),
                e);
    }
  }
}

TEST(Condensation, OpenCellsLetCurrentsSneakAroundThem) {
  const std::vector<double> siemens = {1e-3, 1e-3, 1e-3, 0};
  const std::vector<double> e = condense_array(siemens, 2, 2, {10, 0, 0});
  EXPECT_GT(e[3], 0);  // through the three others
  EXPECT_LT(e[3], 1e-2 * e[0]);
  // Without a shared resistance there is no other path.
  EXPECT_EQ(condense_lines(siemens, 2, 2, {0, 100, 0})[3], 0);
  EXPECT_GT(condense_lines(siemens, 2, 2, {0, 100, 100})[3], 0);
  for (const double g : condense_array(std::vector<double>(4, 0.0), 2, 2, {10, 0, 0})) {
    EXPECT_EQ(g, 0);
  }
}

// One row, lines without resistance: the driver in series with the parallel cells.
TEST(Condensation, OfOneRowDividesTheVoltageOfItsDriver) {
  const std::vector<double> siemens = {1e-3, 2e-3, 5e-3};
  const double ohm = 50, sum = 1e-3 + 2e-3 + 5e-3;
  const std::vector<double> e = condense_lines(siemens, 1, 3, {0, ohm, 0});
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(e[j], siemens[j] / (1 + ohm * sum), 1e-14 * siemens[j]);
  }
  // One column: the same from the other end.
  const std::vector<double> column = condense_lines(siemens, 3, 1, {0, 0, ohm});
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(column[j], e[j], 1e-14 * e[j]);
}

// However much wires and cells differ, entries are computed without cancellation: a ladder of equal
// cells with one driver.
TEST(Condensation, KeepsTheRelativeAccuracyOfExtremes) {
  for (const double g : {1e-12, 1.0}) {
    for (const double ohm : {1e-9, 1e12}) {
      const std::vector<double> e = condense_array({{g}}, 1, 1, {ohm, 0, 0});
      EXPECT_NEAR(e[0] * (1 / g + 2 * ohm), 1, 1e-13) << g << ' ' << ohm;
      for (const double each :
           condense_array(std::vector<double>(100, g), 10, 10, {ohm, ohm, ohm})) {
        EXPECT_GT(each, 0);
        EXPECT_LE(each, g * (1 + 1e-12));
      }
    }
  }
}

}  // namespace
}  // namespace crosstate::circuit
