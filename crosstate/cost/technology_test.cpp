#include "crosstate/cost/technology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"

namespace crosstate::cost {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::string kFolder = std::string(CROSSTATE_SOURCE_DIR) + "/data/technology/";
const std::string kPath = kFolder + "accelerator-45nm.toml";
const std::string kCrossbar = kFolder + "crossbar-14nm.toml";

// The shipped file with one substring replaced.
std::string changed(const std::string& from, const std::string& to,
                    const std::string& path = kPath) {
  std::string text = read_file(path);
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw Error(from + " is not in the file");
  return text.replace(at, from.size(), to);
}

void expect_refused(const std::string& toml, const std::string& first,
                    const std::string& second = "") {
  EXPECT_THAT(
      [&] { parse_technology(toml, "t.toml"); },
      ThrowsMessage<Error>(AllOf(HasSubstr("t.toml"), HasSubstr(first), HasSubstr(second))));
}

TEST(Technology, ShippedOnesTellEverySource) {
  const std::vector<std::string> names = shipped_technologies();
  EXPECT_THAT(names,
              testing::ElementsAre("accelerator-45nm", "crossbar-130nm", "crossbar-14nm",
                                   "crossbar-180nm-taox", "crossbar-32nm", "mcu-fp32", "mcu-int8"));
  for (const std::string& name : names) {
    const Technology t = find_technology(name);
    EXPECT_EQ(t.name, name);
    EXPECT_FALSE(t.summary.empty()) << name;
    for (const auto& [key, constant] : t.constants) {
      EXPECT_GT(constant.source.size(), 5u) << name << ' ' << key;
      EXPECT_LE(constant.value.low, constant.value.typical) << name << ' ' << key;
      EXPECT_LE(constant.value.typical, constant.value.high) << name << ' ' << key;
    }
    EXPECT_EQ(t.constants.size(), constants_of(t.kind).size()) << name;
    EXPECT_EQ(to_json(t)["constants"].size(), t.constants.size());
  }
}

// A range of at least three times either way; of voltages, in their square, to which energy is
// proportional. Shares end at 1, and at least one column shares a converter.
TEST(Technology, AssumedConstantsHaveWideRanges) {
  for (const std::string& name : shipped_technologies()) {
    for (const auto& [key, constant] : find_technology(name).constants) {
      const Range& v = constant.value;
      if (constant.basis != Basis::kAssumed || v.typical == 0) continue;
      const double factor = (key == "read_voltage" ? std::sqrt(3) : 3) * 0.99;
      const double most = key == "activity" ? 1 : 1e300;
      const double least = key == "columns_per_converter" ? 1 : 0;
      EXPECT_LE(v.low, std::max(least, v.typical / factor)) << name << ' ' << key;
      EXPECT_GE(v.high, std::min(most, v.typical * factor)) << name << ' ' << key;
    }
  }
}

TEST(Technology, ScalesADigitalAcceleratorToANode) {
  const Technology at_45 = find_technology("accelerator-45nm");
  const Technology at_15 = same_node(at_45, 15);
  EXPECT_EQ(at_15.name, "same node, 15 nm");
  EXPECT_EQ(at_15.node, 15);
  const Range &from = at_45["multiply_bit"], &to = at_15["multiply_bit"];
  EXPECT_DOUBLE_EQ(to.low, from.low / 9);
  EXPECT_DOUBLE_EQ(to.typical, from.typical / 3);
  EXPECT_DOUBLE_EQ(to.high, from.high / 3);
  const Range &area = at_45["memory_area"], &scaled = at_15["memory_area"];
  EXPECT_DOUBLE_EQ(scaled.high, area.high / 9);
  EXPECT_EQ(at_15["leakage_bit"], at_45["leakage_bit"]);
  EXPECT_EQ(at_15["clock"], at_45["clock"]);
  const Technology older = same_node(at_45, 90);
  EXPECT_DOUBLE_EQ(older["control"].typical, at_45["control"].typical * 2);
  EXPECT_DOUBLE_EQ(older["control"].high, at_45["control"].high * 4);
  EXPECT_DOUBLE_EQ(same_node(at_45, 90, Scaling::kSquare)["memory_bit"].low,
                   at_45["memory_bit"].low * 4);
  EXPECT_DOUBLE_EQ(same_node(at_45, 90, Scaling::kLinear)["memory_bit"].high,
                   at_45["memory_bit"].high * 2);
  EXPECT_THAT([] { same_node(find_technology("mcu-int8"), 14); },
              ThrowsMessage<Error>(HasSubstr("mcu-int8: is of kind microcontroller")));
}

TEST(Technology, ReadsAFile) {
  const Technology t = find_technology(kPath);
  EXPECT_EQ(t.kind, TargetKind::kAccelerator);
  EXPECT_EQ(t["float_multiply"].typical, 3.7);
  EXPECT_EQ(t.constants.at("float_multiply").unit, "pJ");
}

TEST(Technology, NamesWhatIsWrong) {
  expect_refused(changed("[multiply_bit]", "[multply_bit]"), "multply_bit", "[multiply_bit]");
  expect_refused(changed("typical = 3.13", "tipical = 3.13"),
                 "t.toml:", "nearest key is \"multiply_bit.typical\"");
  expect_refused(changed("unit = \"fJ\"", "unit = \"pJ\""), "multiply_bit.unit", "fJ");
  expect_refused(changed("low = 3.03", "low = 13.03"), "[multiply_bit]", "ascending");
  expect_refused(changed("low = 3.03", "low = -1.0"), "multiply_bit.low", "0 to");
  expect_refused(changed("low = 3.03\n", ""), "[multiply_bit] has no low");
  expect_refused(changed("basis = \"derived\"\n", ""), "has no basis");
  expect_refused(changed("kind = \"accelerator\"", "kind = \"gpu\""), "target.kind", "crossbar");
  expect_refused(changed("kind = \"accelerator\"\n", ""), "no kind");
  expect_refused(changed("node = 45.0\n", ""), "no node");
  expect_refused(changed("kind = \"accelerator\"", "kind = \"crossbar\""), "target.rows");
  expect_refused(changed("[array_active]", "[array_static]", kCrossbar), "[array_active]",
                 "[array_idle]");
  expect_refused(changed("floats = true", "floats = true\nrows = 64"), "target.rows",
                 "accelerator");
}

TEST(Technology, RefusesToDivideByZero) {
  for (const TargetKind kind :
       {TargetKind::kMicrocontroller, TargetKind::kAccelerator, TargetKind::kCrossbar}) {
    const char* const file = kind == TargetKind::kMicrocontroller ? "mcu-int8"
                             : kind == TargetKind::kAccelerator   ? "accelerator-45nm"
                                                                  : "crossbar-14nm";
    std::size_t divisors = 0;
    for (const ConstantDefinition& c : constants_of(kind)) {
      std::string text = read_file(kFolder + file + ".toml");
      const std::size_t low = text.find("low = ", text.find(std::string("[") + c.name + "]"));
      text.replace(low, text.find('\n', low) - low, "low = 0.0");
      if (c.divides) {
        expect_refused(text, std::string(c.name) + ".low = 0", "expected a number, 1e-12");
        ++divisors;
      } else {
        EXPECT_EQ(parse_technology(text, "t.toml")[c.name].low, 0);
      }
    }
    EXPECT_EQ(divisors, kind == TargetKind::kMicrocontroller ? 1u : 3u) << file;
  }
}

TEST(Technology, CrossbarsTakeNoFloats) {
  expect_refused(changed("floats = false", "floats = true", kCrossbar), "target.floats", "false");
  expect_refused(changed("floats = false\n", "", kCrossbar), "target.floats", "false");
  EXPECT_EQ(find_float_target("mcu-fp32", "key").name, "mcu-fp32");
  EXPECT_THAT([] { find_float_target("crossbar-14nm", "cost.float_target"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("cost.float_target"), HasSubstr("crossbar-14nm"),
                                         HasSubstr("accelerator"))));
}

TEST(Technology, NamesAConstantThatIsMissingOrForeign) {
  std::string text = read_file(kPath);
  const std::size_t begin = text.find("[lanes]"), end = text.find("[multiply_bit]");
  std::string lanes = text.substr(begin, end - begin);
  expect_refused(text.substr(0, begin) + text.substr(end), "[lanes] is missing", "multipliers");
  expect_refused(text + "[read_voltage]\nlow = 1\n", "[read_voltage]", "accelerator");
}

TEST(Technology, NamesTheShippedOnesForAnUnknownName) {
  EXPECT_THAT([] { find_technology("crossbar-7nm"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("crossbar-7nm"), HasSubstr("crossbar-14nm"))));
  EXPECT_THAT([] { find_technology("no/such.toml"); },
              ThrowsMessage<Error>(HasSubstr("no/such.toml")));
}

}  // namespace
}  // namespace crosstate::cost
