// Products of single arrays, computed by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using fixtures::plain_technology;
using testing::HasSubstr;
using testing::ThrowsMessage;

Technology crossbar(const std::string& name, const Range& value) {
  Technology t = plain_technology(TargetKind::kCrossbar);
  t.constants.at(name).value = value;
  return t;
}

double of(const CostList& list, const std::string& what) {
  double sum = 0;
  for (const CostTerm& t : list.terms) {
    if (t.what == what) sum += t.per_step * t.each.typical;
  }
  return sum;
}

CostList product(const Technology& t, const ArrayUse& use) {
  CostList list;
  add_array_product(t, use, 1, 0, list);
  return list;
}

TEST(Crossbars, ApplyWideCodesInSlices) {
  Technology t = plain_technology(TargetKind::kCrossbar);
  t.input_bits = 1;  // one product per bit
  EXPECT_EQ(input_slices(t, 1), 1);
  EXPECT_EQ(input_slices(t, 8), 8);
  t.input_bits = 2;  // a sign and one bit
  EXPECT_EQ(input_slices(t, 8), 7);
  EXPECT_EQ(input_slices(t, 1), 1);
  t.input_bits = 4;
  EXPECT_EQ(input_slices(t, 4), 1);
  EXPECT_EQ(input_slices(t, 5), 2);
  EXPECT_EQ(input_slices(t, 7), 2);
  EXPECT_EQ(input_slices(t, 8), 3);
}

TEST(Crossbars, WaitForTheSlowerOfRowsAndConverters) {
  Technology t = crossbar("read_time", {10, 20, 30});
  t.constants.at("convert_time").value = {1, 2, 3};
  t.constants.at("columns_per_converter").value = {1, 4, 16};
  EXPECT_EQ(slice_time(t), (Range{10, 20, 48}));
}

TEST(Crossbars, ShareConvertersBetweenColumns) {
  Technology t = crossbar("columns_per_converter", {1, 8, 64});
  t.constants.at("array_area").value = {100, 100, 100};  // um2
  t.constants.at("drive_area").value = {2, 2, 2};
  t.constants.at("convert_area").value = {10, 10, 10};
  t.constants.at("digital_area").value = {7, 7, 7};
  t.rows = 32;
  // Many columns per converter make a small array.
  const Range area = array_area(t);
  EXPECT_DOUBLE_EQ(area.low, 1e-6 * (100 + 2 * 32 + 10 * 1 + 7));
  EXPECT_DOUBLE_EQ(area.typical, 1e-6 * (100 + 2 * 32 + 10 * 8 + 7));
  EXPECT_DOUBLE_EQ(area.high, 1e-6 * (100 + 2 * 32 + 10 * 64 + 7));
}

TEST(Crossbars, AProductDrivesReadsAndConverts) {
  Technology t = plain_technology(TargetKind::kCrossbar);
  const auto set = [&](const char* name, double value) {
    t.constants.at(name).value = {value, value, value};
  };
  set("read_voltage", 0.2);  // V
  set("read_time", 100);     // ns
  set("activity", 0.5);
  set("cell_low", 1);  // uS
  set("cell_high", 20);
  set("drive", 30);  // fJ
  set("convert", 1000);
  set("shift_add", 40);
  set("memory_bit", 5);
  const ArrayUse use{
      .rows = 10, .columns = 6, .cells = 200, .weight = 12, .input_bits = 8, .output_bits = 8};
  const CostList one = product(t, use);
  const double joules = 0.2 * 0.2 * 100 * 0.5 * 1e-3;  // pJ per uS
  EXPECT_DOUBLE_EQ(of(one, "cells at rest"), 200 * joules);
  EXPECT_DOUBLE_EQ(of(one, "cells with weights"), 12 * joules * 20);
  EXPECT_DOUBLE_EQ(of(one, "drive"), 10 * 0.03);
  EXPECT_DOUBLE_EQ(of(one, "convert to 8 bits"), 6 * 1.0);
  EXPECT_DOUBLE_EQ(of(one, "shift_add"), 6 * 0.04);
  EXPECT_DOUBLE_EQ(of(one, "memory_bit"), (10 * 8 + 6 * 8) * 0.005);

  // Three input slices and two weight slices are six products; buffers are read once.
  ArrayUse sliced = use;
  sliced.weight_slices = 2;
  t.input_bits = 4;
  const CostList six = product(t, sliced);
  for (const char* what :
       {"cells at rest", "cells with weights", "drive", "convert to 8 bits", "shift_add"}) {
    EXPECT_DOUBLE_EQ(of(six, what), 6 * of(one, what)) << what;
  }
  EXPECT_DOUBLE_EQ(of(six, "memory_bit"), of(one, "memory_bit"));

  // Copies whose currents are added share the conversion.
  ArrayUse copied = use;
  copied.copies = 4;
  t.input_bits = 8;
  const CostList four = product(t, copied);
  EXPECT_DOUBLE_EQ(of(four, "drive"), 4 * of(one, "drive"));
  EXPECT_DOUBLE_EQ(of(four, "convert to 8 bits"), of(one, "convert to 8 bits"));
  copied.conversions = 4;
  EXPECT_DOUBLE_EQ(of(product(t, copied), "convert to 8 bits"), 4 * of(one, "convert to 8 bits"));
}

TEST(Crossbars, BitsOfAConversionScaleItsEnergy) {
  Technology t = crossbar("convert_bit_factor", {1.5, 2, 4});
  t.constants.at("convert").value = {1e3, 1e3, 1e3};
  const auto converted = [&](int bits) {
    for (const CostTerm& term :
         product(t, {.columns = 1, .input_bits = 8, .output_bits = bits}).terms) {
      if (term.part == "converters") return term;
    }
    return CostTerm{};
  };
  EXPECT_EQ(converted(0).what, "convert to 8 bits");  // target.output_bits
  EXPECT_EQ(converted(0).each, (Range{1, 1, 1}));
  EXPECT_EQ(converted(10).what, "convert to 10 bits");
  EXPECT_EQ(converted(10).each, (Range{2.25, 4, 16}));
  // With fewer bits, the largest factor saves most.
  const Range six = converted(6).each;
  EXPECT_DOUBLE_EQ(six.low, 1.0 / 16);
  EXPECT_DOUBLE_EQ(six.typical, 1.0 / 4);
  EXPECT_DOUBLE_EQ(six.high, 1 / 2.25);
}

// Converters read increments only where rows apply a code in one product: in slices, each converter
// of a register has the range of the codes of the state.
TEST(Crossbars, ConvertSlicesToAllBitsOfARegister) {
  quant::QuantOptions format = quant::quant_preset("w8a8s8");
  format.state.residue_bits = 6;
  const integer::IntegerNetwork network =
      integer::to_integers(fixtures::rounded(fixtures::shape(3, 6, true, true), {2, 5}, format));
  const auto converted_to_14_bits = [&](int input_bits, crossbar::PoleStorage recurrence) {
    Technology t = plain_technology(TargetKind::kCrossbar);
    t.input_bits = input_bits;
    crossbar::CrossbarOptions options;
    options.recurrence = recurrence;
    return of(estimate_on_crossbars(network, 9, t, options).energy, "convert to 14 bits") * 1e3;
  };
  constexpr double kParts = 2 * 3 * 3;  // of 3 channels with 3 modes
  EXPECT_DOUBLE_EQ(converted_to_14_bits(8, crossbar::PoleStorage::kDirect), kParts);
  EXPECT_LT(converted_to_14_bits(8, crossbar::PoleStorage::kIncrement), kParts);
  EXPECT_DOUBLE_EQ(converted_to_14_bits(4, crossbar::PoleStorage::kDirect), 3 * kParts);
  EXPECT_DOUBLE_EQ(converted_to_14_bits(4, crossbar::PoleStorage::kIncrement), 3 * kParts);
}

TEST(Crossbars, AreNoOtherTargets) {
  const model::Network network =
      fixtures::rounded(fixtures::shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  EXPECT_THAT(
      [&] {
        estimate_on_crossbars(integer::to_integers(network), 9,
                              plain_technology(TargetKind::kMicrocontroller));
      },
      ThrowsMessage<Error>(HasSubstr("plain: is a microcontroller, not a crossbar")));
}

}  // namespace
}  // namespace crosstate::cost
