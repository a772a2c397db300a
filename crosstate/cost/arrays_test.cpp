#include "crosstate/cost/arrays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/converters.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Technology with(const char* target, int rows, int columns, int bits = 0,
                ConverterType type = ConverterType::kTarget) {
  EstimateOptions options;
  options.rows = rows;
  options.columns = columns;
  options.converter_bits = bits;
  options.converter = type;
  return with_arrays(find_technology(target), options);
}

TEST(Arrays, OfTheTargetStayAsTheyAre) {
  for (const std::string& name : shipped_technologies()) {
    const Technology t = find_technology(name);
    if (t.kind != TargetKind::kCrossbar) continue;
    const Technology same = with(name.c_str(), 0, t.columns);
    EXPECT_EQ(to_json(same), to_json(t)) << name;
    EXPECT_EQ(same.summary, t.summary);
  }
}

TEST(Arrays, GrowWithTheirPairsWhereConvertersAreCountedOnTheirOwn) {
  const Technology t = find_technology("crossbar-180nm-taox");
  const Technology larger = with("crossbar-180nm-taox", 4 * t.rows, 2 * t.columns);
  EXPECT_EQ(larger.rows, 4 * t.rows);
  EXPECT_EQ(larger.columns, 2 * t.columns);
  EXPECT_EQ(larger["array_area"], t["array_area"] * 8);
  // A register for every column, or for all of them.
  EXPECT_EQ(larger["digital_area"].low, t["digital_area"].low);
  EXPECT_EQ(larger["digital_area"].typical, 2 * t["digital_area"].typical);
  EXPECT_EQ(larger["digital_area"].high, 2 * t["digital_area"].high);
  EXPECT_EQ(larger["drive"], t["drive"]);
  EXPECT_EQ(larger["convert"], t["convert"]);
  EXPECT_GT(array_area(larger).typical, 2 * array_area(t).typical);
  EXPECT_LT(array_area(larger).typical, 8 * array_area(t).typical);
}

TEST(Arrays, GrowWithTheirColumnsWhereTheAreaIncludesConverters) {
  const Technology t = find_technology("crossbar-14nm");
  const Technology smaller = with("crossbar-14nm", t.rows / 4, t.columns / 4);
  EXPECT_EQ(smaller["array_area"].typical, t["array_area"].typical / 4);
  EXPECT_EQ(smaller["array_area"].low, t["array_area"].low / 16);
  EXPECT_EQ(smaller["array_area"].high, t["array_area"].high / 4);
}

TEST(Arrays, ShareNoMoreColumnsThanTheyHave) {
  const Technology narrow = with("crossbar-32nm", 128, 16);
  EXPECT_EQ(narrow["columns_per_converter"], (Range{16, 16, 16}));
  // One converter, which reads fewer columns.
  EXPECT_LT(slice_time(narrow).low, slice_time(find_technology("crossbar-32nm")).high + 1e-9);
}

TEST(Arrays, HaveConvertersOfTheirBits) {
  const Technology t = find_technology("crossbar-180nm-taox");
  const Technology coarse = with("crossbar-180nm-taox", 0, 0, t.output_bits - 2);
  const Range& area = coarse["convert_area"];
  EXPECT_NEAR(area.typical, t["convert_area"].typical / (1.2 * 1.2), 1e-6);
  EXPECT_NEAR(area.low, t["convert_area"].low / 4, 1e-6);
  EXPECT_EQ(area.high, t["convert_area"].high);
  // Of another type, by the bits of that type.
  const Technology flash = with("crossbar-180nm-taox", 0, 0, 6, ConverterType::kFlash);
  EXPECT_EQ(flash["convert_area"], with_converter(t, ConverterType::kFlash)["convert_area"]);
}

TEST(Arrays, ConvertToNoMoreThanTheirBits) {
  const model::Network network =
      fixtures::rounded(fixtures::shape(5, 6, true, true), {2, 3}, quant::quant_preset("w8a8s8"));
  const integer::IntegerNetwork integers = integer::to_integers(network);
  const Technology t = find_technology("crossbar-180nm-taox");
  const auto energy = [&](int bits) {
    EstimateOptions options;
    options.converter_bits = bits;
    const Estimate e = estimate_on_crossbars(integers, 10, with_arrays(t, options), {}, options);
    for (const CostTerm& term : e.energy.terms) {
      if (term.what.starts_with("convert to ") && bits > 0) {
        EXPECT_EQ(term.what, "convert to " + std::to_string(bits) + " bits");
      }
    }
    return e.energy.of_part("converters", 10).typical;
  };
  EXPECT_NEAR(energy(4), energy(8) / std::pow(1.2, 4), 1e-9 * energy(8));
  EXPECT_EQ(energy(8), energy(0));
}

TEST(Arrays, RefuseWhatNoArrayCanBe) {
  EXPECT_THAT([] { with("crossbar-14nm", 2, 0); },
              ThrowsMessage<Error>(AllOf(HasSubstr("cost.rows = 2"), HasSubstr("at least 3"))));
  EXPECT_THAT([] { with("accelerator-45nm", 64, 64); },
              ThrowsMessage<Error>(HasSubstr("has no arrays")));
}

}  // namespace
}  // namespace crosstate::cost
