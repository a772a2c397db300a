#include "crosstate/circuit/circuit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/circuit/testing.h"

namespace crosstate::circuit {
namespace {

using fixtures::Array;
using fixtures::Branch;
using fixtures::random_array;
using testing::HasSubstr;
using testing::ThrowsMessage;

// The current of each column, computed only from nodes and wires of the circuit.
std::vector<double> currents_of(const Array& a, const WireOptions& wires) {
  const ArrayCircuit circuit = make_circuit(a.rows, a.columns, wires);
  std::vector<Branch> branches;
  for (const ArrayCircuit::Wire& w : circuit.wires) branches.push_back({w.from, w.to, w.siemens});
  for (std::size_t k = 0; k < a.siemens.size(); ++k) {
    branches.push_back({circuit.word[k], circuit.bit[k], a.siemens[k]});
  }
  std::vector<double> known = a.volts;
  known.push_back(0);  // ground
  const std::vector<double> volts = fixtures::solved(branches, circuit.free, known);
  std::vector<double> currents(a.columns);
  for (std::size_t k = 0; k < a.siemens.size(); ++k) {
    currents[k % a.columns] += a.siemens[k] * (volts[circuit.word[k]] - volts[circuit.bit[k]]);
  }
  return currents;
}

double siemens_between(const ArrayCircuit& circuit, std::size_t a, std::size_t b) {
  double sum = 0;
  for (const ArrayCircuit::Wire& w : circuit.wires) {
    if (std::minmax(w.from, w.to) == std::minmax(a, b)) sum += w.siemens;
  }
  return sum;
}

TEST(ArrayCircuit, HasTwoNodesPerCellBetweenSegments) {
  const ArrayCircuit c = make_circuit(2, 3, {.segment = 0.5, .driver = 1.5, .sense = 3.5});
  EXPECT_EQ(c.free, 12u);
  EXPECT_EQ(c.nodes(), 12u + 2 + 1);
  std::set<std::size_t> ends(c.word.begin(), c.word.end());
  ends.insert(c.bit.begin(), c.bit.end());
  EXPECT_EQ(ends.size(), 12u);
  EXPECT_EQ(*ends.rbegin(), 11u);
  // Each word line: source, then the cells of its row from left to right.
  EXPECT_EQ(c.wires.size(), 12u);
  for (const std::size_t row : {0, 1}) {
    EXPECT_EQ(siemens_between(c, c.source(row), c.word[3 * row]), 1 / (1.5 + 0.5));
    EXPECT_EQ(siemens_between(c, c.word[3 * row], c.word[3 * row + 1]), 2);
    EXPECT_EQ(siemens_between(c, c.word[3 * row + 1], c.word[3 * row + 2]), 2);
  }
  // Each bit line: the cells of its column from top to bottom, then ground.
  for (const std::size_t column : {0, 1, 2}) {
    EXPECT_EQ(siemens_between(c, c.bit[column], c.bit[3 + column]), 2);
    EXPECT_EQ(siemens_between(c, c.bit[3 + column], c.ground()), 1 / (3.5 + 0.5));
  }
}

TEST(ArrayCircuit, LinesWithoutResistanceAreOneNode) {
  const ArrayCircuit none = make_circuit(2, 3, {});
  EXPECT_EQ(none.free, 0u);
  EXPECT_TRUE(none.wires.empty());
  EXPECT_THAT(none.word, testing::ElementsAre(0, 0, 0, 1, 1, 1));  // the sources
  EXPECT_THAT(none.bit, testing::Each(none.ground()));

  const ArrayCircuit driver = make_circuit(2, 3, {.driver = 4});
  EXPECT_EQ(driver.free, 2u);
  EXPECT_THAT(driver.word, testing::ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_THAT(driver.bit, testing::Each(driver.ground()));
  EXPECT_EQ(siemens_between(driver, driver.source(1), 1), 0.25);

  const ArrayCircuit sense = make_circuit(2, 3, {.sense = 2});
  EXPECT_EQ(sense.free, 3u);
  EXPECT_THAT(sense.word, testing::ElementsAre(3, 3, 3, 4, 4, 4));  // the sources
  EXPECT_THAT(sense.bit, testing::ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_EQ(siemens_between(sense, 2, sense.ground()), 0.5);

  const ArrayCircuit both = make_circuit(2, 3, {.driver = 4, .sense = 2});
  EXPECT_EQ(both.free, 5u);
  EXPECT_THAT(both.word, testing::ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_THAT(both.bit, testing::ElementsAre(2, 3, 4, 2, 3, 4));
  EXPECT_EQ(both.wires.size(), 5u);
}

TEST(ArrayCircuit, ConductsAsTheSolversSay) {
  const std::vector<WireOptions> all = {{},         {2, 100, 50}, {2, 0, 0},   {0, 100, 0},
                                        {0, 0, 50}, {0, 100, 50}, {0.5, 0, 10}};
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 5}, {5, 1}, {4, 6}, {7, 3}}) {
    const Array a = random_array(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns),
                                 static_cast<std::uint32_t>(10 * rows + columns));
    for (const WireOptions& wires : all) {
      const std::vector<double> plain = currents_of(a, wires);
      const std::vector<double> condensed =
          column_currents(a.siemens, a.rows, a.columns, a.volts, wires);
      for (std::size_t j = 0; j < a.columns; ++j) {
        EXPECT_NEAR(plain[j], condensed[j], 1e-10) << rows << columns << wires.segment;
      }
    }
  }
}

TEST(ArrayCircuit, RefusesBadArguments) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const std::vector<double> four(4, 1e-6);
  EXPECT_NO_THROW(require_array(four, 2, 2));
  EXPECT_THROW(require_array(four, 2, 3), Error);
  EXPECT_THROW(require_array({}, 0, 0), Error);
  EXPECT_THROW(require_array({}, 0, 4), Error);
  for (const double bad : {nan, inf, -1e-9}) {
    std::vector<double> siemens = four;
    siemens[2] = bad;
    EXPECT_THROW(require_array(siemens, 2, 2), Error) << bad;
  }
  EXPECT_NO_THROW(require_voltages({{1, -1}}, 2));
  EXPECT_THROW(require_voltages({{1, -1}}, 3), Error);
  EXPECT_THROW(require_voltages({{1, nan}}, 2), Error);
  EXPECT_THROW(require_voltages({{1, inf}}, 2), Error);
}

}  // namespace
}  // namespace crosstate::circuit
