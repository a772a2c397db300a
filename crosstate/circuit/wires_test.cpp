#include "crosstate/circuit/wires.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/circuit/testing.h"

namespace crosstate::circuit {
namespace {

using testing::HasSubstr;

using fixtures::Array;
using fixtures::random_array;

std::vector<double> effective(const Array& a, const WireOptions& wires) {
  return effective_conductance(a.siemens, a.rows, a.columns, wires);
}

// The largest difference relative to the largest flow in a column: currents of both signs may
// cancel, and with long wires a sparse solution is inaccurate for far columns.
double difference(const Array& a, const WireOptions& wires) {
  const std::vector<double> e = effective(a, wires);
  const OperatingPoint point = operating_point(a.siemens, a.rows, a.columns, a.volts, wires, {});
  double largest = 0, most = 0;
  for (std::size_t j = 0; j < a.columns; ++j) {
    double current = 0, flow = 0;
    for (std::size_t i = 0; i < a.rows; ++i) {
      current += e[i * a.columns + j] * a.volts[i];
      flow += std::abs(e[i * a.columns + j] * a.volts[i]);
    }
    largest = std::max(largest, std::abs(current - point.currents[j]));
    most = std::max(most, flow);
  }
  return most > 0 ? largest / most : largest;
}

const std::vector<std::pair<std::size_t, std::size_t>> kShapes = {
    {1, 1}, {1, 2}, {2, 1}, {1, 40}, {40, 1}, {3, 5}, {16, 16}, {17, 9}, {23, 64}, {70, 31}};

TEST(Wires, WithoutResistanceGiveTheExactProduct) {
  for (const auto& [rows, columns] : kShapes) {
    const Array a = random_array(rows, columns, 1);
    EXPECT_EQ(effective(a, {}), a.siemens);
    const std::vector<double> currents = column_currents(a.siemens, rows, columns, a.volts, {});
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (std::size_t i = 0; i < rows; ++i) sum += a.siemens[i * columns + j] * a.volts[i];
      EXPECT_EQ(currents[j], sum);
    }
  }
}

TEST(Wires, OfOneCellAreInSeries) {
  const double g = 1e-4;
  for (const WireOptions& wires : std::vector<WireOptions>{
           {2, 100, 50}, {2, 0, 0}, {0, 100, 0}, {0, 0, 50}, {0, 100, 50}, {1e6, 0, 1e3}}) {
    const double ohm = wires.driver + 2 * wires.segment + wires.sense + 1 / g;
    EXPECT_NEAR(effective_conductance({{g}}, 1, 1, wires)[0] * ohm, 1, 1e-14);
  }
}

// Two cells on one word line, solved by hand as a ladder.
TEST(Wires, OfTwoCellsFormALadder) {
  const std::vector<double> cells = {2e-3, 5e-3};
  const WireOptions wires{.segment = 10, .driver = 30, .sense = 7};
  const double first = 1 / (1 / cells[0] + 17), second = 1 / (1 / cells[1] + 17);
  const double branch = 1 / (10 + 1 / second);          // after the first cell
  const double node = 1 / (1 + 40 * (first + branch));  // volts at the first cell
  const double end = node * branch / second;            // and at the second
  const std::vector<double> e = effective_conductance(cells, 1, 2, wires);
  EXPECT_NEAR(e[0] / (node * first), 1, 1e-14);
  EXPECT_NEAR(e[1] / (end * second), 1, 1e-14);
}

TEST(Wires, CondensedEqualTheNodalEquations) {
  std::uint32_t item = 10;
  for (const auto& [rows, columns] : kShapes) {
    const Array a = random_array(rows, columns, ++item);
    for (const WireOptions& wires : std::vector<WireOptions>{{1, 0, 0},
                                                             {10, 100, 30},
                                                             {0, 100, 30},
                                                             {0, 25, 0},
                                                             {0, 0, 25},
                                                             {1e-3, 5, 0},
                                                             {1e4, 1, 1e6}}) {
      EXPECT_LT(difference(a, wires), 1e-9) << rows << " x " << columns << ", " << wires.segment
                                            << ", " << wires.driver << ", " << wires.sense;
    }
  }
}

// Seen from the other end, the circuit is the array with rows and columns exchanged, and a network
// of resistors is reciprocal. Every entry must agree, including very small ones, however much wires
// and cells differ.
TEST(Wires, KeepTheAccuracyOfEachEntry) {
  std::uint32_t item = 40;
  for (const auto& [n, m] : kShapes) {
    const Array a = random_array(n, m, ++item);
    std::vector<double> turned(n * m);
    const auto other = [&](std::size_t k) { return (m - 1 - k % m) * n + n - 1 - k / m; };
    for (std::size_t k = 0; k < n * m; ++k) turned[other(k)] = a.siemens[k];
    for (const double segment : {1e-9, 1e-5, 1.0, 1e4, 1e9}) {
      const std::vector<double> e = effective(a, {segment, 30, 0.5});
      const std::vector<double> t = effective_conductance(turned, m, n, {segment, 0.5, 30});
      for (std::size_t k = 0; k < n * m; ++k) {
        ASSERT_GE(e[k], 0);
        ASSERT_NEAR(e[k], t[other(k)], 1e-12 * e[k] + 1e-290) << n << " x " << m << ", " << segment;
      }
    }
  }
}

TEST(Wires, ThatVanishLeaveTheProduct) {
  const Array a = random_array(20, 30, 60);
  const std::vector<double> e = effective(a, {.segment = 1e-9});
  for (std::size_t k = 0; k < e.size(); ++k) EXPECT_NEAR(e[k], a.siemens[k], 1e-7 * 1e-2);
}

TEST(Wires, OpenCellsCarryNothing) {
  const std::vector<double> none(6, 0.0);
  for (const WireOptions& wires : std::vector<WireOptions>{{1, 1, 1}, {0, 1, 1}}) {
    EXPECT_EQ(effective_conductance(none, 2, 3, wires), none);
  }
  // A single conducting cell among cells that do not conduct.
  std::vector<double> one(35, 0.0);
  one[2 * 7 + 3] = 1e-2;
  const std::vector<double> e = effective_conductance(one, 5, 7, {2, 10, 20});
  EXPECT_NEAR(e[2 * 7 + 3], 1.0 / (10 + 4 * 2 + 100 + 3 * 2 + 20), 1e-15);
  EXPECT_EQ(std::count(e.begin(), e.end(), 0.0), 34);
}

TEST(Wires, IdleCellsArePartOfTheArray) {
  // The current of a column decreases if cells of other columns leak.
  std::vector<double> cells = {1e-4, 0, 0, 1e-4, 0, 0};
  const double alone = effective_conductance(cells, 2, 3, {.segment = 10})[0];
  for (double& g : cells) g = std::max(g, 1e-5);
  EXPECT_LT(effective_conductance(cells, 2, 3, {.segment = 10})[0], alone);
}

TEST(Wires, RefuseBadArguments) {
  const std::vector<double> cells(6, 1e-4);
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_THAT(message([&] { effective_conductance(cells, 2, 4, {}); }), HasSubstr("2 x 4"));
  EXPECT_THAT(message([&] { effective_conductance({}, 0, 0, {}); }), HasSubstr("0 x 0"));
  EXPECT_THAT(message([&] { column_currents(cells, 2, 3, {{1.0}}, {}); }),
              HasSubstr("1 voltages, expected one for each of 2 rows"));
  for (const double g : {-1e-6, std::numeric_limits<double>::infinity(), std::nan("")}) {
    std::vector<double> bad = cells;
    bad[4] = g;
    EXPECT_THAT(message([&] { effective_conductance(bad, 2, 3, {}); }),
                HasSubstr("row 2, column 2"));
  }
  EXPECT_THAT(message([&] {
                column_currents(cells, 2, 3, {{1.0, std::nan("")}}, {});
              }),
              HasSubstr("row 2"));
  for (const double ohm : {-1.0, 1e-12, 1e13, std::nan("")}) {
    EXPECT_THAT(message([&] { effective_conductance(cells, 2, 3, {.segment = ohm}); }),
                HasSubstr("wires.segment"));
    EXPECT_THAT(message([&] { effective_conductance(cells, 2, 3, {.driver = ohm}); }),
                HasSubstr("wires.driver"));
    EXPECT_THAT(message([&] { effective_conductance(cells, 2, 3, {.sense = ohm}); }),
                HasSubstr("wires.sense"));
  }
}

}  // namespace
}  // namespace crosstate::circuit
