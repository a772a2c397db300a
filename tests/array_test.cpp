// crosstate array, verified with the circuit simulator ngspice.
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/random.h"
#include "crosstate/formats/matrix.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Wires {
  double segment = 0, driver = 0, sense = 0;
};

class ArrayCommand : public Cli {
 protected:
  // Files G.csv and V.csv; cells from 1 to 100 uS, some of them open or at 10 mS.
  void write_random_array(std::size_t rows, std::size_t columns) const {
    Random random(3, Stream::kTest, static_cast<std::uint32_t>(rows * 1000 + columns));
    formats::Matrix cells{rows, columns, {}}, volts{rows, 1, {}};
    for (std::size_t k = 0; k < rows * columns; ++k) {
      const double kind = random.uniform(0, 1), g = random.uniform(1e-6, 100e-6);
      cells.values.push_back(kind < 0.05 ? 0 : kind > 0.99 ? 1e-2 : g);
    }
    // Of one sign, so that relative errors are meaningful in every column.
    for (std::size_t i = 0; i < rows; ++i) volts.values.push_back(random.uniform(0.05, 0.4));
    formats::write_matrix(path("G.csv"), cells);
    formats::write_matrix(path("V.csv"), volts);
  }

  std::vector<std::string> arguments(const Wires& wires,
                                     const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"array",
                                    "--conductance",
                                    path("G.csv"),
                                    "--voltage",
                                    path("V.csv"),
                                    "--wire",
                                    exact_text(wires.segment),
                                    "--driver",
                                    exact_text(wires.driver),
                                    "--sense",
                                    exact_text(wires.sense)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  std::vector<double> currents(const Wires& wires, const std::vector<std::string>& more) const {
    std::vector<std::string> files = {"--out", path("I.csv"), "--netlist", path("array.cir"),
                                      "--overwrite"};
    files.insert(files.end(), more.begin(), more.end());
    const Result result = call(arguments(wires, files));
    EXPECT_EQ(result.code, 0) << result.err;
    const formats::Matrix written = formats::read_matrix(path("I.csv"));
    EXPECT_EQ(written.columns, 1u);
    return written.values;
  }

  // The currents that ngspice prints for the netlist.
  std::vector<double> judged() const {
    const std::string command = std::string(CROSSTATE_NGSPICE) + " -b " + path("array.cir") +
                                " > " + path("ngspice.txt") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    const std::string text = read_file(path("ngspice.txt"));
    std::map<int, double> found;
    static const std::regex kLine(R"(i\(vout(\d+)\) = (\S+))");
    for (std::sregex_iterator it(text.begin(), text.end(), kLine), end; it != end; ++it) {
      found[std::stoi((*it)[1])] = std::stod((*it)[2]);
    }
    std::vector<double> values;
    for (const auto& [column, current] : found) values.push_back(current);
    return values;
  }

  void expect_agreement(std::size_t rows, std::size_t columns, const Wires& wires, double tolerance,
                        const std::vector<std::string>& law = {}) const {
    write_random_array(rows, columns);
    const std::vector<double> ours = currents(wires, law), theirs = judged();
    ASSERT_EQ(ours.size(), columns);
    ASSERT_EQ(theirs.size(), columns) << read_file(path("ngspice.txt")).substr(0, 2000);
    double largest = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      largest = std::max(largest, std::abs(ours[j] / theirs[j] - 1));
    }
    EXPECT_LT(largest, tolerance) << rows << " x " << columns << ", " << wires.segment << ", "
                                  << wires.driver << ", " << wires.sense;
    const std::string name = std::to_string(rows) + "x" + std::to_string(columns) + "_" +
                             exact_text(wires.segment) + (law.empty() ? "" : law[0]);
    RecordProperty(name, exact_text(largest));
  }
};

TEST_F(ArrayCommand, AgreesWithNgspice) {
  for (const double segment : {0.0, 0.1, 1.0, 10.0}) {
    expect_agreement(16, 16, {segment, 0, 0}, 1e-9);
    expect_agreement(16, 16, {segment, 100, 50}, 1e-9);
  }
  expect_agreement(32, 32, {1, 100, 50}, 1e-9);
  expect_agreement(48, 48, {10, 0, 50}, 1e-9);
  expect_agreement(64, 64, {2.5, 200, 0}, 1e-9);
}

TEST_F(ArrayCommand, AgreesWithNgspiceOnOtherShapes) {
  expect_agreement(1, 1, {1, 100, 50}, 1e-9);
  expect_agreement(1, 33, {1, 0, 0}, 1e-9);
  expect_agreement(33, 1, {10, 100, 0}, 1e-9);
  expect_agreement(9, 40, {0, 100, 0}, 1e-9);
  expect_agreement(40, 9, {0, 0, 50}, 1e-9);
  expect_agreement(12, 31, {0, 100, 50}, 1e-9);
  expect_agreement(12, 31, {1e3, 1, 1}, 1e-6);  // hardly any current reaches the last columns
  expect_agreement(12, 31, {1e-3, 0, 0}, 1e-6);
}

// Most of the time is spent in the simulator.
TEST_F(ArrayCommand, AgreesWithNgspiceOnALargeArray) {
  expect_agreement(128, 128, {1, 100, 50}, 1e-6);
}

TEST_F(ArrayCommand, AgreesWithNgspiceOnNonlinearCells) {
  const std::vector<std::string> cubic = {"--nl2", "2e-5", "--nl3", "3e-4"};
  const std::vector<std::string> selector = {"--selector-current", "1e-6", "--selector-voltage",
                                             "0.05"};
  std::vector<std::string> both = cubic;
  both.insert(both.end(), selector.begin(), selector.end());
  for (const auto& law : {cubic, selector, both}) {
    expect_agreement(16, 16, {0, 0, 0}, 1e-6, law);
    expect_agreement(16, 16, {0, 100, 50}, 1e-6, law);
    expect_agreement(16, 24, {1, 0, 0}, 1e-6, law);
    expect_agreement(32, 32, {10, 100, 50}, 1e-6, law);
  }
  expect_agreement(64, 64, {1, 100, 0}, 1e-6, cubic);
}

TEST_F(ArrayCommand, PrintsOrWritesItsResults) {
  write("G.csv", "1e-3, 2e-3\r\n0,1e-3\r\n");
  write("V.csv", "0.5,1\n");
  const Result shown = call(arguments({}, {"--json", path("all.json")}));
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out, "5e-04\n0.002\n");
  const json result = parse_json(read_file(path("all.json")));
  EXPECT_EQ(result["currents"], json({5e-4, 2e-3}));
  EXPECT_EQ(result["settings"]["wires"]["segment"], 0);
  EXPECT_EQ(call(arguments({}, {"--quiet"})).out, "");
  EXPECT_EQ(call(arguments({}, {"--out", path("I.csv")})).out, "");
  EXPECT_EQ(read_file(path("I.csv")), "5e-04\n0.002\n");

  ASSERT_EQ(call(arguments({}, {"--quiet", "--effective", path("E.npz")})).code, 0);
  EXPECT_EQ(formats::read_matrix(path("E.npz")).values, formats::read_matrix(path("G.csv")).values);
  write("wires.toml", "[wires]\nsegment = 250\n\n[cells]\nnl3 = 0.5\n");
  const Result set = call({"array", "--conductance", path("G.csv"), "--voltage", path("V.csv"),
                           "--config", path("wires.toml"), "--json", "-"});
  EXPECT_EQ(parse_json(set.out)["settings"]["wires"]["segment"], 250);
}

TEST_F(ArrayCommand, RefusesToReplaceWhatItReads) {
  write("G.csv", "1e-3,2e-3\n0,1e-3\n");
  write("V.csv", "0.5\n1\n");
  const std::string cells = read_file(path("G.csv"));
  for (const std::string option : {"--netlist", "--effective", "--json"}) {
    expect_refused(arguments({}, {option, path("./G.csv")}), {option, "the file of --conductance"});
  }
  expect_refused(arguments({}, {"--out", path("G.csv"), "--overwrite"}),
                 {"--out", "the file of --conductance"});
  EXPECT_EQ(read_file(path("G.csv")), cells);
  expect_refused(arguments({}, {"--netlist", path("a"), "--effective", path("a")}),
                 {"--effective", "the file of --netlist"});
  for (const std::string option : {"--out", "--netlist", "--effective"}) {
    write("there.csv", "kept");
    expect_refused(arguments({}, {option, path("there.csv")}), {"there.csv", "--overwrite"});
    EXPECT_EQ(read_file(path("there.csv")), "kept");
    EXPECT_EQ(call(arguments({}, {option, path("there.csv"), "--overwrite"})).code, 0);
    EXPECT_NE(read_file(path("there.csv")), "kept");
  }
}

TEST_F(ArrayCommand, RefusesWhatIsTooLargeOrIdle) {
  write("G.csv", "1e300,1\n1e300,1\n");
  write("V.csv", "1e300\n1\n");
  expect_refused(arguments({}, {}), {"current of column 1", "too large"});
  expect_refused(arguments({}, {"--json", "-"}), {"current of column 1"});
  write("G.csv", "1e-3,1e-3\n1e-3,1e-3\n");
  write("V.csv", "1\n1\n");
  expect_refused(arguments({}, {"--selector-voltage", "0.2"}),
                 {"--selector-voltage", "no effect", "cells.selector_current = 0"});
}

TEST_F(ArrayCommand, RefusesBadFiles) {
  write("V.csv", "0.5\n1\n");
  struct Case {
    std::string cells;
    std::vector<std::string> parts;
  };
  for (const Case& c : std::vector<Case>{
           {"1,2\n3,x\n", {"G.csv:2", "column 2", "\"x\""}},
           {"1,2\n3\n", {"G.csv:2", "1 values, expected 2"}},
           {"1,2\n3,-4\n", {"G.csv:2", "column 2", "-4"}},
           {"", {"G.csv", "empty"}},
           {"1,2\n", {"V.csv", "2 x 1", "1 rows"}},
       }) {
    write("G.csv", c.cells);
    expect_refused(arguments({}, {}), c.parts);
  }
  write("G.csv", "1,2\n3,4\n");
  expect_refused(arguments({-1, 0, 0}, {}), {"--wire -1", "0 to 1e+12"});
  expect_refused(arguments({1e-13, 0, 0}, {}), {"wires.segment", "1e-09"});
  expect_refused(arguments({}, {"--nl3", "1", "--effective", path("E.csv")}), {"--effective"});
  write("G.csv", "1e-5,1e-5\n1e-5,1e-5\n");
  write("V.csv", "5\n5\n");
  expect_refused(arguments({1e5, 0, 0}, {"--nl3", "-1"}), {"no operating point"});
  expect_refused({"array"}, {"--conductance"});
}

}  // namespace
}  // namespace crosstate
