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
  for (const char* name : {"cell_low", "cell_high", "drive"}) set(array, name, 0);
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
  // Half of the drivers of 64 columns, and cells that take as much as a digital product.
  set(array, "drive", 64 * 250);
  EXPECT_DOUBLE_EQ(break_even_fan_in(array, digital).rows.typical, 9.9 / 0.25);
  set(array, "drive", 64 * 500);
  EXPECT_TRUE(std::isinf(break_even_fan_in(array, digital).rows.typical));
  EXPECT_TRUE(to_json(break_even_fan_in(array, digital))["rows"]["typical"].is_null());
  // Two slices of the weight and two of the input are four conversions.
  set(array, "drive", 0);
  array.cell_bits = array.input_bits = 4;
  EXPECT_DOUBLE_EQ(break_even_fan_in(array, digital, {.input_bits = 7}).column.typical, 39.9);
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
