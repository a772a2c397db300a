#include "crosstate/cost/converters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/named.h"

namespace crosstate::cost {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Converters, ShippedOnesTellEverySource) {
  for (const Named<ConverterType>& type : kNames<ConverterType>) {
    if (type.value == ConverterType::kTarget) continue;
    const Converter c = find_converter(type.value);
    EXPECT_FALSE(c.summary.empty()) << type.name;
    EXPECT_EQ(c.constants.size(), 5u) << type.name;
    for (const auto& [key, constant] : c.constants) {
      EXPECT_GT(constant.source.size(), 5u) << type.name << ' ' << key;
      if (constant.basis != Basis::kAssumed) continue;
      const double least = key == "columns_per_converter" ? 1 : 0;
      EXPECT_LE(constant.value.low, std::max(least, constant.value.typical / 3)) << type.name;
      EXPECT_GE(constant.value.high, constant.value.typical * 3) << type.name;
    }
  }
}

TEST(Converters, ScaleToBitsAndNodes) {
  const Converter sar = find_converter(ConverterType::kSar);
  const Range& at = sar.constants.at("convert").value;
  EXPECT_EQ(sar.conversion(sar.bits), at);
  const Range more = sar.conversion(sar.bits + 2), less = sar.conversion(sar.bits - 1);
  EXPECT_DOUBLE_EQ(more.high, 4 * at.high);
  EXPECT_DOUBLE_EQ(less.low, at.low / 2);
  EXPECT_DOUBLE_EQ(less.high, at.high / 1.15);

  const Technology before = find_technology("crossbar-32nm");
  const Technology after = with_converter(before, ConverterType::kSar);
  const double shrink = 32 / sar.node;
  EXPECT_DOUBLE_EQ(after["convert"].typical, at.typical * shrink);
  EXPECT_DOUBLE_EQ(after["convert"].low, at.low * shrink * shrink);
  EXPECT_DOUBLE_EQ(after["convert"].high, at.high * shrink);
  EXPECT_DOUBLE_EQ(after["convert_area"].typical,
                   sar.constants.at("convert_area").value.typical * shrink * shrink);
  EXPECT_EQ(after["drive"], before["drive"]);
  EXPECT_THAT(after.summary, HasSubstr("successive approximation"));
  EXPECT_EQ(with_converter(before, ConverterType::kTarget)["convert"], before["convert"]);
  // Converters that are part of array_area are not replaced in it.
  EXPECT_EQ(with_converter(find_technology("crossbar-14nm"), ConverterType::kSar)["convert_area"],
            Range{});
}

TEST(Converters, RefuseWhatIsWrong) {
  const std::string text =
      read_file(std::string(CROSSTATE_SOURCE_DIR) + "/data/converters/ramp.toml");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    return other.replace(other.find(from), from.size(), to);
  };
  EXPECT_NO_THROW(parse_converter(text, "c.toml"));
  EXPECT_THAT([&] { parse_converter(changed("bits = 8\n", ""), "c.toml"); },
              ThrowsMessage<Error>(HasSubstr("no bits")));
  EXPECT_THAT([&] { parse_converter(changed("[convert_time]", "[convert_tine]"), "c.toml"); },
              ThrowsMessage<Error>(HasSubstr("convert_time")));
  EXPECT_THAT([&] { parse_converter(changed("low = 1500.0\n", ""), "c.toml"); },
              ThrowsMessage<Error>(HasSubstr("[convert] has no low")));
  EXPECT_THAT([] { with_converter(find_technology("mcu-int8"), ConverterType::kSar); },
              ThrowsMessage<Error>(HasSubstr("has no converters")));
}

}  // namespace
}  // namespace crosstate::cost
