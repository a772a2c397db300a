#include "crosstate/cost/constant_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate::cost {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr ConstantDefinition kEnergy{"convert", "fJ", "energy of a conversion"};
constexpr ConstantDefinition kClock{"clock", "MHz", "clock of the array", true};

// The lines of a section, in the order in which check_constant() misses them.
using Lines = std::vector<std::pair<std::string, std::string>>;
const Lines kComplete = {{"low", "1.5"},           {"typical", "2"},   {"high", "2.5"},
                         {"node", "28"},           {"unit", "\"fJ\""}, {"basis", "\"derived\""},
                         {"source", "\"Table 3\""}};

std::string section_of(const Lines& lines, const ConstantDefinition& definition = kEnergy) {
  std::string toml = std::string("[") + definition.name + "]\n";
  for (const auto& [key, value] : lines) toml += key + " = " + value + '\n';
  return toml;
}

Lines replaced(const std::string& key, const std::string& value) {
  Lines lines = kComplete;
  for (auto& [name, text] : lines) {
    if (name == key) text = value;
  }
  return lines;
}

Constant read_constant(const std::string& toml, const ConstantDefinition& definition = kEnergy) {
  Constant constant;
  FieldList list;
  add_constant(list, definition, constant);
  list.parse_toml(toml, "t.toml");
  return constant;
}

void expect_unreadable(const std::string& toml, const std::string& key, const std::string& value,
                       const std::string& right, const ConstantDefinition& definition = kEnergy) {
  EXPECT_THAT([&] { read_constant(toml, definition); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("t.toml"), HasSubstr(key), HasSubstr(value), HasSubstr(right))))
      << toml;
}

void expect_incomplete(const Constant& constant, const std::string& message) {
  EXPECT_THAT([&] { check_constant("t.toml", kEnergy, constant); },
              ThrowsMessage<Error>(testing::StrEq("t.toml: " + message)));
}

TEST(ConstantFields, ReadEveryPartOfASection) {
  const Constant c = read_constant(section_of(kComplete));
  EXPECT_EQ(c.value, (Range{1.5, 2, 2.5}));
  EXPECT_EQ(c.unit, "fJ");
  EXPECT_EQ(c.node, 28);
  EXPECT_EQ(c.basis, Basis::kDerived);
  EXPECT_EQ(c.source, "Table 3");
  EXPECT_TRUE(is_given(c));
  EXPECT_NO_THROW(check_constant("t.toml", kEnergy, c));
}

TEST(ConstantFields, AreMissingInAFileWithoutTheSection) {
  const Constant c = read_constant("");
  EXPECT_FALSE(is_given(c));
  expect_incomplete(c, "[convert] is missing: energy of a conversion (fJ)");
  EXPECT_FALSE(is_given(read_constant("[convert]\n")));
}

// Zeros are values like others, so that a constant is not taken for a missing one.
TEST(ConstantFields, AreGivenByAnyEntry) {
  for (const auto& [key, value] : kComplete) {
    EXPECT_TRUE(is_given(read_constant(section_of({{key, value}})))) << key;
  }
  for (const char* key : {"low", "typical", "high", "node"}) {
    EXPECT_TRUE(is_given(read_constant(section_of({{key, "0"}})))) << key;
  }
  const Constant zero = read_constant(section_of({{"low", "0"},
                                                  {"typical", "0"},
                                                  {"high", "0"},
                                                  {"node", "0"},
                                                  {"unit", "\"fJ\""},
                                                  {"basis", "\"assumed\""},
                                                  {"source", "\"x\""}}));
  EXPECT_NO_THROW(check_constant("t.toml", kEnergy, zero));
}

TEST(ConstantFields, NameThePartThatIsMissing) {
  for (std::size_t i = 0; i < kComplete.size(); ++i) {
    Lines lines = kComplete;
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(i));
    expect_incomplete(read_constant(section_of(lines)), "[convert] has no " + kComplete[i].first);
  }
  expect_incomplete(read_constant(section_of(replaced("source", "\"\""))),
                    "[convert] has no source");
}

TEST(ConstantFields, Ascend) {
  EXPECT_NO_THROW(
      check_constant("t.toml", kEnergy, read_constant(section_of(replaced("low", "2")))));
  expect_incomplete(
      read_constant(section_of(replaced("low", "2.0000000000000004"))),
      "[convert] low, typical, high = 2.0000000000000004, 2, 2.5, expected ascending values");
  expect_incomplete(read_constant(section_of(replaced("high", "1"))),
                    "[convert] low, typical, high = 1.5, 2, 1, expected ascending values");
}

TEST(ConstantFields, RefuseValuesOfOtherKinds) {
  for (const char* key : {"low", "typical", "high"}) {
    expect_unreadable(section_of(replaced(key, "-1e-9")), std::string("convert.") + key, "-1e-09",
                      "0 to 1e+12");
    expect_unreadable(section_of(replaced(key, "2e12")), std::string("convert.") + key, "2e",
                      "0 to 1e+12");
    expect_unreadable(section_of(replaced(key, "\"2\"")), std::string("convert.") + key, "2",
                      "number");
    expect_unreadable(section_of(replaced(key, "nan")), std::string("convert.") + key, "nan",
                      "0 to 1e+12");
  }
  expect_unreadable(section_of(replaced("unit", "\"pJ\"")), "convert.unit", "pJ", "fJ");
  expect_unreadable(section_of(replaced("node", "1001")), "convert.node", "1001", "0 to 1000");
  expect_unreadable(section_of(replaced("basis", "\"guessed\"")), "convert.basis", "guessed",
                    "measured");
  expect_unreadable("[convert]\nmean = 1\n", "mean", "", "nearest key");
}

TEST(ConstantFields, KeepDivisorsAboveZero) {
  Lines lines = kComplete;
  for (auto& [key, value] : lines) {
    if (key == "unit") value = "\"MHz\"";
    if (key == "low") value = "1e-12";
  }
  EXPECT_EQ(read_constant(section_of(lines, kClock), kClock).value.low, 1e-12);
  lines[0].second = "0";
  expect_unreadable(section_of(lines, kClock), "clock.low", "0", "1e-12", kClock);
  // The same value of a constant that is no divisor.
  EXPECT_EQ(read_constant(section_of(replaced("low", "0"))).value.low, 0);
}

}  // namespace
}  // namespace crosstate::cost
