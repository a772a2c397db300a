#include "crosstate/circuit/netlist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"
#include "crosstate/circuit/testing.h"

namespace crosstate::circuit {
namespace {

using fixtures::Array;
using fixtures::Branch;
using fixtures::random_array;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::ThrowsMessage;

using NetlistFile = DirectoryTest;

std::string netlist(const Array& a, const WireOptions& wires, const CellLaw& law = {}) {
  return format_netlist(a.siemens, a.rows, a.columns, a.volts, wires, law);
}

// The lines of elements, without comments and commands.
std::vector<std::string> elements(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(".control")) break;
    if (line.find_first_of("RVB") == 0) lines.push_back(line);
  }
  return lines;
}

// The currents into the sources Vout0, Vout1, ..., solved from resistors and sources as by a
// simulator.
std::vector<double> simulated(const std::string& text, std::size_t columns) {
  std::map<std::string, double> fixed = {{"0", 0}};
  struct Resistor {
    std::string a, b;
    double siemens;
  };
  std::vector<Resistor> resistors;
  for (const std::string& line : elements(text)) {
    std::istringstream words(line);
    std::string name, a, b, value;
    words >> name >> a >> b >> value;
    if (name[0] == 'R') {
      resistors.push_back({a, b, 1 / std::stod(value)});
      continue;
    }
    EXPECT_EQ(name[0], 'V') << line;
    EXPECT_EQ(b, "0") << line;
    EXPECT_EQ(value, "DC") << line;
    words >> value;
    fixed[a] = std::stod(value);
  }
  std::map<std::string, std::size_t> numbers;
  for (const Resistor& r : resistors) {
    for (const std::string& node : {r.a, r.b}) {
      if (!fixed.contains(node)) numbers.try_emplace(node, numbers.size());
    }
  }
  const std::size_t free = numbers.size();
  std::vector<double> known;
  for (const auto& [node, volts] : fixed) {
    numbers[node] = free + known.size();
    known.push_back(volts);
  }
  std::vector<Branch> branches;
  for (const Resistor& r : resistors) branches.push_back({numbers[r.a], numbers[r.b], r.siemens});
  const std::vector<double> volts = fixtures::solved(branches, free, known);
  std::vector<double> currents(columns);
  for (std::size_t j = 0; j < columns; ++j) {
    const std::string out = "out" + std::to_string(j);
    for (const Resistor& r : resistors) {
      if (r.a != out && r.b != out) continue;
      const std::string& other = r.a == out ? r.b : r.a;
      currents[j] += r.siemens * (volts[numbers[other]] - volts[numbers[out]]);
    }
  }
  return currents;
}

TEST(Netlist, NamesEveryElement) {
  const std::string text = format_netlist({{1e-3, 2e-3, 0, 4e-3}}, 2, 2, {{0.5, -1}},
                                          {.segment = 2, .driver = 10, .sense = 20}, {});
  EXPECT_THAT(text, StartsWith("* crossbar array of 2 rows and 2 columns\n"));
  EXPECT_THAT(elements(text),
              testing::ElementsAre("Vin0 in0 0 DC 0.5", "Vin1 in1 0 DC -1", "Vout0 out0 0 DC 0",
                                   "Vout1 out1 0 DC 0", "Rw0_0 in0 w0_0 12", "Rw0_1 w0_0 w0_1 2",
                                   "Rw1_0 in1 w1_0 12", "Rw1_1 w1_0 w1_1 2", "Rb0_0 b0_0 b1_0 2",
                                   "Rb1_0 b1_0 out0 22", "Rb0_1 b0_1 b1_1 2", "Rb1_1 b1_1 out1 22",
                                   "Rc0_0 w0_0 b0_0 1000", "Rc0_1 w0_1 b0_1 500",
                                   "Rc1_1 w1_1 b1_1 250"));  // the open cell is absent
  EXPECT_THAT(text, HasSubstr("\nop\nprint i(vout0)\nprint i(vout1)\nquit 0\n.endc\n.end\n"));
}

TEST(Netlist, HasNoResistorsOfZeroOhm) {
  EXPECT_THAT(elements(format_netlist({{1e-3}}, 1, 1, {{1}}, {}, {})),
              testing::ElementsAre("Vin0 in0 0 DC 1", "Vout0 out0 0 DC 0", "Rc0_0 in0 out0 1000"));
  EXPECT_THAT(elements(format_netlist({{1e-3}}, 1, 1, {{1}}, {.driver = 5}, {})),
              testing::Contains("Rw0_0 in0 w0 5"));
  EXPECT_THAT(elements(format_netlist({{1e-3}}, 1, 1, {{1}}, {.sense = 5}, {})),
              testing::Contains("Rb0_0 b0 out0 5"));
}

TEST(Netlist, ConductsAsTheSolversSay) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 4}, {4, 1}, {3, 5}, {6, 4}}) {
    const Array a =
        random_array(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), 5);
    for (const WireOptions& wires : std::vector<WireOptions>{
             {}, {2, 100, 50}, {2, 0, 0}, {0, 100, 0}, {0, 0, 50}, {0, 100, 50}}) {
      const std::vector<double> expected =
          column_currents(a.siemens, a.rows, a.columns, a.volts, wires);
      const std::vector<double> found = simulated(netlist(a, wires), a.columns);
      for (std::size_t j = 0; j < a.columns; ++j) {
        EXPECT_NEAR(found[j], expected[j], 1e-10) << rows << columns << wires.driver;
      }
    }
  }
}

TEST(Netlist, WritesLawsAsSources) {
  const auto cell = [](double siemens, const CellLaw& law) {
    return elements(format_netlist({{siemens}}, 1, 1, {{1}}, {}, law));
  };
  // Horner form: g V + nl2 V^2 + nl3 V^3.
  EXPECT_EQ(cell(1e-3, {.nl2 = 2e-5, .nl3 = -3e-4}).back(),
            "Bc0_0 in0 out0 I=V(in0,out0)*(0.001+V(in0,out0)*(2e-05+V(in0,out0)*(-3e-04)))");
  EXPECT_EQ(cell(0, {.nl3 = 1}).back(),  // conducts although its conductance is 0
            "Bc0_0 in0 out0 I=V(in0,out0)*(0+V(in0,out0)*(0+V(in0,out0)*(1)))");
  const auto selected = cell(1e-3, {.selector_current = 1e-8, .selector_voltage = 0.025});
  ASSERT_EQ(selected.size(), 4u);
  EXPECT_EQ(selected[2], "Rc0_0 in0 m0_0 1000");
  EXPECT_EQ(selected[3], "Bs0_0 m0_0 out0 I=1e-08*sinh(V(m0_0,out0)/0.025)");
  EXPECT_EQ(cell(0, {.selector_current = 1e-8}).size(), 2u);  // an open cell has no current
}

TEST(Netlist, RefusesBadArguments) {
  EXPECT_THROW(format_netlist({{1e-3, 1e-3}}, 1, 1, {{1}}, {}, {}), Error);
  EXPECT_THROW(format_netlist({{-1e-3}}, 1, 1, {{1}}, {}, {}), Error);
  EXPECT_THROW(format_netlist({{1e-3}}, 1, 1, {{1, 2}}, {}, {}), Error);
  EXPECT_THROW(format_netlist({{1e-3}}, 1, 1, {{std::nan("")}}, {}, {}), Error);
  EXPECT_THROW(format_netlist({{1e-3}}, 1, 1, {{1}}, {.segment = -1}, {}), Error);
  EXPECT_THROW(format_netlist({{1e-3}}, 1, 1, {{1}}, {}, {.nl2 = std::nan("")}), Error);
}

TEST_F(NetlistFile, HoldsTheText) {
  const Array a = random_array(2, 3, 6);
  const std::filesystem::path path = directory_ / "a.cir";
  write_netlist(path, a.siemens, a.rows, a.columns, a.volts, {1, 2, 3}, {});
  EXPECT_EQ(read_file(path), netlist(a, {1, 2, 3}));
  EXPECT_THAT(
      [&] {
        write_netlist(directory_ / "none" / "a.cir", a.siemens, a.rows, a.columns, a.volts, {}, {});
      },
      ThrowsMessage<Error>(HasSubstr("none/a.cir")));
}

}  // namespace
}  // namespace crosstate::circuit
