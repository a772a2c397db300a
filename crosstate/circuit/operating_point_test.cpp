#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/circuit/wires.h"

namespace crosstate::circuit {
namespace {

struct LawArray {
  std::size_t rows, columns;
  std::vector<double> siemens, volts;
};

LawArray random_law_array(std::size_t rows, std::size_t columns) {
  Random random(8, Stream::kTest, static_cast<std::uint32_t>(rows * 1000 + columns));
  LawArray a{rows, columns, {}, {}};
  for (std::size_t k = 0; k < rows * columns; ++k) {
    const double g = random.uniform(-5e-6, 100e-6);
    a.siemens.push_back(std::max(g, 0.0));
  }
  for (std::size_t i = 0; i < rows; ++i) a.volts.push_back(random.uniform(-0.5, 0.5));
  return a;
}

const std::vector<CellLaw> kLaws = {
    {},
    {.nl2 = 2e-5, .nl3 = 3e-4},
    {.selector_current = 1e-6, .selector_voltage = 0.05},
    {.nl2 = 1e-5, .nl3 = 1e-4, .selector_current = 1e-8, .selector_voltage = 0.03}};

// Kirchhoff's current law at every node of every line, derived independently from the conventions.
double largest_imbalance(const LawArray& a, const WireOptions& w, const CellLaw& law,
                         const OperatingPoint& p) {
  const std::size_t n = a.rows, m = a.columns;
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      const std::size_t k = i * m + j;
      const double cell = respond(law, a.siemens[k], p.word[k] - p.bit[k]).current;
      const double in = j == 0 ? (a.volts[i] - p.word[k]) / (w.driver + w.segment)
                               : (p.word[k - 1] - p.word[k]) / w.segment;
      const double on = j + 1 == m ? 0 : (p.word[k] - p.word[k + 1]) / w.segment;
      const double above = i == 0 ? 0 : (p.bit[k - m] - p.bit[k]) / w.segment;
      const double below =
          i + 1 == n ? p.bit[k] / (w.segment + w.sense) : (p.bit[k] - p.bit[k + m]) / w.segment;
      largest = std::max({largest, std::abs(in - on - cell), std::abs(above + cell - below)});
    }
  }
  return largest;
}

TEST(OperatingPoint, BalancesCurrentsAtEveryNode) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {1, 9}, {9, 1}, {13, 22}}) {
    const LawArray a = random_law_array(rows, columns);
    for (const CellLaw& law : kLaws) {
      for (const WireOptions& wires :
           std::vector<WireOptions>{{1, 0, 0}, {10, 100, 50}, {1e4, 1, 1e3}}) {
        const OperatingPoint point = operating_point(a.siemens, rows, columns, a.volts, wires, law);
        EXPECT_LT(largest_imbalance(a, wires, law, point), 1e-14);
        for (std::size_t j = 0; j < columns; ++j) {
          const double end = point.bit[(rows - 1) * columns + j] / (wires.segment + wires.sense);
          EXPECT_NEAR(point.currents[j], end, 1e-12 * std::abs(end) + 1e-15);
        }
      }
    }
  }
}

TEST(OperatingPoint, WithoutWiresIsTheSumOfTheCells) {
  const LawArray a = random_law_array(7, 5);
  for (const CellLaw& law : kLaws) {
    const OperatingPoint point = operating_point(a.siemens, 7, 5, a.volts, {}, law);
    for (std::size_t j = 0; j < 5; ++j) {
      double sum = 0;
      for (std::size_t i = 0; i < 7; ++i) {
        sum += respond(law, a.siemens[i * 5 + j], a.volts[i]).current;
      }
      EXPECT_EQ(point.currents[j], sum);
    }
  }
}

// Lines without resistance are a separate circuit in the solver: the limit of small resistances.
TEST(OperatingPoint, OfSmallWiresIsNearThatOfNone) {
  const LawArray a = random_law_array(12, 17);
  for (const CellLaw& law : kLaws) {
    for (const WireOptions& wires : std::vector<WireOptions>{{0, 500, 200}, {0, 500, 0}}) {
      WireOptions small = wires;
      small.segment = 1e-6;
      const auto none = column_currents(a.siemens, 12, 17, a.volts, wires, law);
      const auto some = column_currents(a.siemens, 12, 17, a.volts, small, law);
      for (std::size_t j = 0; j < 17; ++j) EXPECT_NEAR(none[j], some[j], 1e-10);
    }
  }
}

TEST(OperatingPoint, IsFoundFarFromTheStart) {
  const LawArray a = random_law_array(10, 10);
  std::vector<double> high = a.volts;
  for (double& v : high) v *= 40;
  for (const CellLaw& law : kLaws) {
    for (const double segment : {1.0, 1e3, 1e7}) {
      const WireOptions wires{.segment = segment};
      const OperatingPoint point = operating_point(a.siemens, 10, 10, high, wires, law);
      EXPECT_LT(point.iterations, 100);
      LawArray driven = a;
      driven.volts = high;
      double flow = 0;
      for (const double current : point.currents) flow = std::max(flow, std::abs(current));
      EXPECT_LT(largest_imbalance(driven, wires, law, point), 1e-9 * flow + 1e-14);
    }
  }
}

// Cells whose current falls with the voltage: there is no stable operating point.
TEST(OperatingPoint, SaysWhereItFindsNone) {
  const std::vector<double> cells(16, 1e-5), volts(4, 5.0);
  try {
    operating_point(cells, 4, 4, volts, {.segment = 1e5}, {.nl3 = -1});
    FAIL() << "found one";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no operating point"));
  }
}

}  // namespace
}  // namespace crosstate::circuit
