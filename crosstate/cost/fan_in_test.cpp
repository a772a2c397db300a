#include "crosstate/cost/fan_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/converters.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

void set(Technology& t, const char* name, double value) {
  t.constants.at(name).value = {value, value, value};
}

TEST(FanIn, DividesAColumnByWhatARowSaves) {
  Technology array = fixtures::plain_technology(TargetKind::kCrossbar);
  Technology digital = fixtures::plain_technology(TargetKind::kAccelerator);
  for (const char* name : {"cell_low", "cell_high", "drive", "array_active"}) set(array, name, 0);
  set(array, "convert", 9e3);  // fJ
  set(array, "shift_add", 1e3);
  for (const char* name : {"multiply_bit", "add_bit"}) set(digital, name, 0);
  set(digital, "memory_bit", 50);
  set(digital, "control", 100);
  // 10 pJ less 0.1 pJ of a requantization; 0.5 pJ a product.
  const FanIn f = break_even_fan_in(array, digital);
  EXPECT_DOUBLE_EQ(f.column.typical, 9.9);
  EXPECT_DOUBLE_EQ(f.digital.typical, 0.5);
  EXPECT_EQ(f.product.typical, 0);
  EXPECT_DOUBLE_EQ(f.rows.typical, 9.9 / 0.5);
  EXPECT_EQ(f.conversions, 1);
  EXPECT_DOUBLE_EQ(f.budget.typical, 64 * 0.5);
  // A column that takes its budget breaks even with as many rows.
  set(array, "convert", 4 * 500 + 100 - 1e3);
  const FanIn at = break_even_fan_in(array, digital, {.rows = 4});
  EXPECT_DOUBLE_EQ(at.column.typical, at.budget.typical);
  EXPECT_DOUBLE_EQ(at.rows.typical, 4);
  set(array, "convert", 9e3);
  // 3 mW for a product, shared by 64 columns.
  set(array, "array_active", 3e3);
  EXPECT_DOUBLE_EQ(break_even_fan_in(array, digital).column.typical,
                   9.9 + 3 * slice_time(array).typical / 64);
  set(array, "array_active", 0);
  // Half of the drivers of 64 columns, and cells that take as much as a digital product.
  set(array, "drive", 64 * 250);
  EXPECT_DOUBLE_EQ(break_even_fan_in(array, digital).rows.typical, 9.9 / 0.25);
  set(array, "drive", 64 * 500);
  EXPECT_TRUE(std::isinf(break_even_fan_in(array, digital).rows.typical));
  EXPECT_TRUE(to_json(break_even_fan_in(array, digital))["rows"]["typical"].is_null());
  EXPECT_EQ(break_even_fan_in(array, digital).budget.typical, 0);
  // Two slices of the weight and two of the input are four conversions.
  set(array, "drive", 0);
  array.cell_bits = array.input_bits = 4;
  EXPECT_DOUBLE_EQ(break_even_fan_in(array, digital, {.input_bits = 7}).column.typical, 39.9);
  EXPECT_EQ(break_even_fan_in(array, digital, {.input_bits = 7}).conversions, 4);
  set(array, "convert", 0);
  set(array, "shift_add", 0);
  EXPECT_EQ(break_even_fan_in(array, digital).rows.typical, 0);
}

double rows_of(const char* target, ConverterType type = ConverterType::kTarget) {
  const Technology array = with_converter(find_technology(target), type);
  const FanIn f =
      break_even_fan_in(array, same_node(find_technology("accelerator-45nm"), array.node));
  EXPECT_LE(f.rows.low, f.rows.typical);
  EXPECT_LE(f.rows.typical, f.rows.high);
  return f.rows.typical;
}

// The order of the targets, and about where they are: conversions to 8 bits of weights and inputs
// of 8 bits, which narrow cells and drivers take in several.
TEST(FanIn, OfTheTargets) {
  EXPECT_NEAR(rows_of("crossbar-14nm"), 62, 10);
  EXPECT_NEAR(rows_of("crossbar-32nm"), 37, 6);
  EXPECT_NEAR(rows_of("crossbar-130nm"), 22, 5);
  EXPECT_NEAR(rows_of("crossbar-180nm-taox"), 5, 2);
}

FanIn fan_in(const char* target, const FanInOptions& options) {
  const Technology array = find_technology(target);
  return break_even_fan_in(array, same_node(find_technology("accelerator-45nm"), array.node),
                           options);
}

// What docs/cost.md concludes for 4 bits: arrays of 130 nm win with few rows, whatever the
// constants within their ranges, those of 32 nm with a full array, those of 14 nm with no number.
TEST(FanIn, FourBitsDecideOn32And130Nanometres) {
  const FanInOptions four{.weight_bits = 4, .input_bits = 4, .output_bits = 6};
  EXPECT_LE(fan_in("crossbar-130nm", four).rows.high, 16);
  EXPECT_LE(fan_in("crossbar-32nm", four).rows.high, 128);
  EXPECT_TRUE(std::isinf(fan_in("crossbar-14nm", four).rows.high));
  EXPECT_EQ(fan_in("crossbar-14nm", four).budget.low, 0);
  EXPECT_TRUE(std::isinf(fan_in("crossbar-180nm-taox", four).rows.high));
  // A column of 64 rows takes less than it may, so that it wins as well.
  const FanIn f = fan_in("crossbar-130nm", four);
  EXPECT_LT(f.column.high, f.budget.low);
  // With 8 bits, no target wins whatever the constants with the rows that its array has.
  for (const char* target :
       {"crossbar-14nm", "crossbar-32nm", "crossbar-130nm", "crossbar-180nm-taox"}) {
    EXPECT_GT(fan_in(target, {}).rows.high, find_technology(target).rows) << target;
  }
}

// Bit-serial inputs and cells of two bits: the conversions of parts do not get cheaper with the
// bits of the sum.
TEST(FanIn, SlicedSumsAreConvertedInFull) {
  const auto column = [](const char* target, int bits) {
    return fan_in(target, {.weight_bits = 4, .input_bits = 4, .output_bits = bits}).column.typical;
  };
  EXPECT_EQ(column("crossbar-32nm", 4), column("crossbar-32nm", 8));
  EXPECT_LT(column("crossbar-130nm", 4), column("crossbar-130nm", 8));
}

TEST(FanIn, WeightsInOtherMemory) {
  Technology array = fixtures::plain_technology(TargetKind::kCrossbar);
  Technology digital = fixtures::plain_technology(TargetKind::kAccelerator);
  set(digital, "memory_bit", 50);
  set(digital, "nonvolatile_bit", 0);
  const auto product = [&](WeightMemory weights) {
    return break_even_fan_in(array, digital, {.weights = weights}).digital.typical;
  };
  EXPECT_NEAR(product(WeightMemory::kSram) - product(WeightMemory::kNonvolatile), 0.4, 1e-12);
}

TEST(FanIn, ConvertersDecide) {
  // A successive approximation of 0.85 pJ at 22 nm pays for itself with two rows at most.
  Technology array = find_technology("crossbar-14nm");
  array.node = 22;
  set(array, "convert", 850);
  set(array, "shift_add", 0);
  const FanIn f = break_even_fan_in(array, same_node(find_technology("accelerator-45nm"), 22));
  EXPECT_LE(f.rows.typical, 2);
  EXPECT_LT(rows_of("crossbar-14nm", ConverterType::kSar), rows_of("crossbar-14nm"));
  EXPECT_GT(rows_of("crossbar-14nm", ConverterType::kOscillator),
            rows_of("crossbar-14nm", ConverterType::kSar));
}

TEST(FanIn, NeedsAnArrayAndAnAccelerator) {
  const Technology array = find_technology("crossbar-14nm");
  const Technology digital = find_technology("accelerator-45nm");
  EXPECT_THAT([&] { break_even_fan_in(digital, digital); },
              ThrowsMessage<Error>(HasSubstr("accelerator-45nm: is of kind accelerator")));
  EXPECT_THAT([&] { break_even_fan_in(array, array); },
              ThrowsMessage<Error>(HasSubstr("crossbar-14nm: is of kind crossbar")));
}

}  // namespace
}  // namespace crosstate::cost
