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

// The conversions of parts of a sum keep the bits of the target, more bits of the sum count.
TEST(Crossbars, SlicesAreConvertedToTheBitsOfTheTarget) {
  Technology t = crossbar("convert", {1e3, 1e3, 1e3});
  t.input_bits = 1;
  const auto what = [&](const ArrayUse& use) {
    for (const CostTerm& term : product(t, use).terms) {
      if (term.part == "converters") return term.what;
    }
    return std::string();
  };
  EXPECT_EQ(what({.columns = 1, .input_bits = 1, .output_bits = 4}), "convert to 4 bits");
  EXPECT_EQ(what({.columns = 1, .input_bits = 4, .output_bits = 4}), "convert to 8 bits");
  EXPECT_EQ(what({.columns = 1, .input_bits = 4, .output_bits = 10}), "convert to 10 bits");
  EXPECT_EQ(what({.columns = 1, .input_bits = 1, .output_bits = 4, .weight_slices = 2}),
            "convert to 8 bits");
  // Converters of fewer bits are a choice.
  EXPECT_EQ(what({.columns = 1, .input_bits = 4, .output_bits = 4, .converter_bits = 5}),
            "convert to 5 bits");
  // What is written is the whole sum.
  const auto written = [&](int bits) {
    return product(t, {.columns = 3, .input_bits = 4, .output_bits = bits}).of_part("buffers", 0);
  };
  EXPECT_DOUBLE_EQ(written(8).typical, 2 * written(4).typical);
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

// Two arrays of known weights would take a network of their own: the counts below are those of the
// network in every test of this file, 3 channels with 3 complex modes, on arrays of 64 x 64 pairs.
integer::IntegerNetwork small_network(const quant::QuantOptions& format) {
  return integer::to_integers(fixtures::rounded(fixtures::shape(3, 6, true, true), {2, 5}, format));
}

Estimate small_estimate(const Technology& t, const EstimateOptions& options,
                        const crossbar::CrossbarOptions& crossbar = {}) {
  return estimate_on_crossbars(small_network(quant::quant_preset("w8a8s8")), 9, t, crossbar,
                               options);
}

// Constants of power that tell each other apart; all times are 1 ns.
Technology power_technology() {
  Technology t = plain_technology(TargetKind::kCrossbar);
  const auto set = [&](const char* name, double value) {
    t.constants.at(name).value = {value, value, value};
  };
  set("array_active", 1e6);  // uW, 1 nJ/us
  set("array_idle", 1e4);
  set("array_area", 1e6);  // um2, 1 mm2
  for (const char* name : {"drive_area", "convert_area", "digital_area", "leakage_bit"}) {
    set(name, 0);
  }
  set("leakage_area", 500);  // uW/mm2
  set("gating", 50);
  set("wake_area", 300);  // pJ/mm2
  set("wake_time", 7);
  return t;
}

TEST(Crossbars, ArraysAreGatedWhileOthersCompute) {
  const Technology t = power_technology();
  // One array each of encoder, recurrence, pointwise layer and decoder. In a time step of 1 + 12 +
  // 1 products and 4 pauses, three of them compute for 14 ns in all.
  const Estimate powered = small_estimate(t, {.idle = IdleArrays::kPowered});
  ASSERT_EQ(powered.arrays, 4u);
  const double active = 14 * 1e6 * 1e-3, products = 14, pauses = 4;
  const double idle = 4 * (products + pauses) - 14;
  EXPECT_DOUBLE_EQ(powered.energy.per_step().typical -
                       small_estimate(t, {.idle = IdleArrays::kGated}).energy.per_step().typical,
                   idle * (1e4 - 10) * 1e-3 - 3 * (300 + 1e4 * 7 * 1e-3));
  CostList statics;
  for (const CostTerm& term : powered.energy.terms) {
    if (term.part == "static") statics.terms.push_back(term);
  }
  EXPECT_DOUBLE_EQ(statics.per_step().typical, active + idle * 1e4 * 1e-3);
  EXPECT_DOUBLE_EQ(powered.rest.total(0).typical, 4 * 1e4);

  // Gated arrays leak a 50th of 500 uW, and are woken once per step by their site: 300 pJ, and the
  // power of an idle array for 7 ns.
  const Estimate gated = small_estimate(t, {.idle = IdleArrays::kGated});
  EXPECT_DOUBLE_EQ(of(gated.energy, "wake"), 3 * 300);
  EXPECT_DOUBLE_EQ(of(gated.energy, "array_idle while waking"), 3 * 1e4 * 7 * 1e-3);
  EXPECT_DOUBLE_EQ(gated.rest.total(0).typical, 4 * 10);
  EXPECT_DOUBLE_EQ(gated.latency.per_step().typical - powered.latency.per_step().typical, 3 * 7);
}

TEST(Crossbars, GateWhereThatSaves) {
  Technology t = power_technology();
  const auto typical = [&](IdleArrays idle) {
    return small_estimate(t, {.idle = idle}).energy.per_step().typical;
  };
  EXPECT_LT(typical(IdleArrays::kPowered), typical(IdleArrays::kGated));
  Estimate chosen = small_estimate(t, {});
  EXPECT_EQ(chosen.idle, IdleArrays::kPowered);
  EXPECT_EQ(chosen.energy.per_step().typical, typical(IdleArrays::kPowered));
  // Between time steps it is gated nevertheless, and all arrays are woken.
  EXPECT_DOUBLE_EQ(chosen.rest.total(0).typical, 4 * 10);
  EXPECT_DOUBLE_EQ(chosen.wake.total(0).typical, 4 * 300);
  t.constants.at("array_idle").value = {1e6, 1e6, 1e6};
  t.constants.at("wake_time").value = {0, 0, 0};
  chosen = small_estimate(t, {});
  EXPECT_EQ(chosen.idle, IdleArrays::kGated);
  EXPECT_EQ(chosen.energy.per_step().typical, typical(IdleArrays::kGated));
  EXPECT_EQ(chosen.wake.total(0).typical, 0);
}

TEST(Crossbars, FullArraysTakeSlicesOfEightBits) {
  Technology t = plain_technology(TargetKind::kCrossbar);
  for (const ConstantDefinition& c : constants_of(TargetKind::kCrossbar)) {
    if (!c.divides) t.constants.at(c.name).value = {};
  }
  t.constants.at("convert").value = {1e3, 1e3, 1e3};  // 1 pJ for each of 64 columns
  EXPECT_DOUBLE_EQ(full_array_efficiency(t).typical, 2.0 * 64 * 64 / 64);
  t.cell_bits = 4;
  t.input_bits = 1;
  EXPECT_DOUBLE_EQ(full_array_efficiency(t).typical, 2.0 * 64 * 64 / (64 * 2 * 8));
}

TEST(Crossbars, OpenCellsConductNothing) {
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const Estimate low = small_estimate(t, {.idle_cells = IdleCells::kLow});
  const Estimate open = small_estimate(t, {.idle_cells = IdleCells::kOpen});
  // A driven row has 64 pairs. At most 2 of encoder and 6 of pointwise layer, and for blocks 3
  // rows with at most 2 + 1 pairs of A, B and C each, hold a weight.
  constexpr double kVoltsTimesTime = 1e-3;
  EXPECT_DOUBLE_EQ(of(low.energy, "cells at rest") / kVoltsTimesTime, (2 + (27 + 18) + 3) * 2 * 64);
  EXPECT_LE(of(open.energy, "cells at rest") / kVoltsTimesTime,
            2 * (2 * 3 + (27 + 18) * 7 + 3 * 6));
  EXPECT_GT(of(open.energy, "cells at rest"), 0);
  EXPECT_DOUBLE_EQ(of(open.energy, "cells with weights"), of(low.energy, "cells with weights"));
}

TEST(Crossbars, BlocksAtOnceTakeARowForEveryLevel) {
  Technology t = plain_technology(TargetKind::kCrossbar);
  const EstimateOptions parallel{.blocks = BlockDrive::kParallel};
  const Estimate one_by_one = small_estimate(t, {}), at_once = small_estimate(t, parallel);
  const auto latency = [](const Estimate& e, const std::string& what) {
    return of(e.latency, what);
  };
  EXPECT_EQ(latency(one_by_one, "block_time"), 9 + 3);
  EXPECT_EQ(latency(at_once, "block_time"), 0);
  EXPECT_EQ(latency(at_once, "slice_time"), 1 + 2 + 1);
  EXPECT_EQ(at_once.conversions_per_step, one_by_one.conversions_per_step);
  // Rows of states have at most two levels for two columns of states and one for the output; a row
  // of an input has one for each mode at most.
  const double drives = of(at_once.energy, "drive") * 1e3;
  EXPECT_GE(drives, 2 + (3 + 18) + 18 + 3);
  EXPECT_LE(drives, 2 + (9 + 2 * 18) + 18 + 3);
  // With full level everywhere, a row is needed once, and is driven once per product.
  const Estimate level = small_estimate(t, parallel, {.drive_halvings = 0});
  EXPECT_DOUBLE_EQ(of(level.energy, "drive") * 1e3, 2 + (3 + 18) + 18 + 3);
  EXPECT_EQ(level.arrays, 4u);
}

TEST(Crossbars, ConductancesAreThoseOfEveryColumn) {
  // Each column uses the whole range of conductances, so that every one has a cell at the top.
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const Estimate e = small_estimate(t, {}, {.driven = crossbar::DrivenRows::kAll});
  const double held = of(e.energy, "cells with weights") * 1e3;
  EXPECT_GE(held, 3 + 2 * (18 + 3) + 6);
}

TEST(Crossbars, CorrectionsTakeProductsAndCoefficients) {
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const auto corrected = [&](crossbar::Compensation compensation) {
    return small_estimate(t, {}, {.compensation = compensation}).energy;
  };
  const auto per_step = [](const CostList& energy, const std::string& what) {
    double sum = 0;
    for (const CostTerm& term : energy.terms) {
      if (term.part == "compensation" && term.what == what) sum += term.per_step;
    }
    return sum;
  };
  EXPECT_EQ(per_step(corrected(crossbar::Compensation::kNone), "multiply_bit"), 0);
  // 3 sums of the encoder, 18 states, 3 outputs and 6 of the pointwise layer, of 8 bits.
  const CostList global = corrected(crossbar::Compensation::kGlobal);
  EXPECT_EQ(per_step(global, "multiply_bit"), 30 * 8 * 16);
  EXPECT_EQ(per_step(global, "add_bit"), 0);
  // A factor and an offset each, and for the states a multiple of their previous values.
  const CostList column = corrected(crossbar::Compensation::kColumn);
  EXPECT_EQ(per_step(column, "multiply_bit"), (30 + 18) * 8 * 16);
  EXPECT_EQ(per_step(column, "add_bit"), (30 + 18) * 32);
  EXPECT_EQ(per_step(column, "memory_bit"), (2 * 30 + 18) * 16);
}

// A time step reads the state where it drives the rows of both products, and writes it once,
// whether or not converters add to it.
TEST(Crossbars, StatesMoveOnceHoweverTheyAreStored) {
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const auto moved = [&](crossbar::PoleStorage recurrence) {
    return of(small_estimate(t, {}, {.recurrence = recurrence}).energy, "memory_bit") * 1e3;
  };
  EXPECT_EQ(moved(crossbar::PoleStorage::kDirect), moved(crossbar::PoleStorage::kIncrement));
  // Encoder 2 in, 3 out; states 21 in, 18 out, outputs 18 in, 3 out; pointwise layer 3 in, 6 out;
  // and the tables of activation and gate.
  const double tables =
      moved(crossbar::PoleStorage::kDirect) - 8 * (2 + 3 + 21 + 18 + 18 + 3 + 3 + 6);
  EXPECT_GE(tables, 0);
  EXPECT_LE(tables, 6 * (8 + 8 + 32));
}

// Products of digital sites take energy, time, area and weights of an accelerator, and leave the
// arrays.
TEST(Crossbars, DigitalSitesArePricedOnAnAccelerator) {
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const Technology accelerator = plain_technology(TargetKind::kAccelerator);
  const auto network = small_network(quant::quant_preset("w8a8s8"));
  const auto with = [&](const std::string& sites) {
    return estimate_on_crossbars(network, 9, t, {.digital = sites}, {.idle = IdleArrays::kPowered},
                                 &accelerator);
  };
  const Estimate all = with(""), states = with("A"), more = with("A, encoder, decoder");
  EXPECT_EQ(of(all.energy, "accelerator: multiply_bit"), 0);
  // 9 complex modes take four products of 16 x 8 bits.
  EXPECT_DOUBLE_EQ(of(states.energy, "accelerator: multiply_bit"), 9 * 4 * 16 * 8 * 1e-3);
  EXPECT_EQ(all.conversions_per_step - states.conversions_per_step, 18u);
  EXPECT_EQ(states.conversions_at_end, all.conversions_at_end);
  EXPECT_GT(states.latency.of_part("digital sites", 1).typical, 0);
  EXPECT_GT(states.area.of_part("digital sites", 0).typical, 0);
  // Meanwhile the arrays are idle.
  const auto idle = [](const Estimate& e) { return of(e.energy, "idle digital sites"); };
  EXPECT_EQ(idle(all), 0);
  EXPECT_NEAR(idle(states),
              static_cast<double>(states.arrays) * 1e-3 *
                  states.latency.of_part("digital sites", 1).typical,
              1e-9);
  // The encoder: 3 x 2 weights; three requantisations.
  EXPECT_DOUBLE_EQ(of(more.energy, "accelerator: multiply_bit"),
                   of(states.energy, "accelerator: multiply_bit") +
                       (3 * 2 * 8 * 8 + 3 * kMultiplierWidth * kAccumulatorWidth) * 1e-3);
  EXPECT_EQ(more.conversions_at_end, 0u);
  EXPECT_EQ(all.arrays - more.arrays, 2u);
  // Memory retains the weights of the digital sites: 18 numbers of 16 bits.
  const auto retained = [](const Estimate& e) { return e.rest.of_part("memory", 0).typical; };
  EXPECT_NEAR(retained(states) - retained(all), 18 * 16 * 1e-6, 1e-9);
}

TEST(Crossbars, NarrowIncrementsTakeFewerBits) {
  const Technology t = plain_technology(TargetKind::kCrossbar);
  const auto bits_of = [&](const EstimateOptions& options,
                           const crossbar::CrossbarOptions& crossbar) {
    double sum = 0, count = 0;
    for (const CostTerm& term : small_estimate(t, options, crossbar).energy.terms) {
      if (term.part != "converters" || term.per_step == 0) continue;
      const int bits = std::stoi(term.what.substr(std::string("convert to ").size()));
      sum += bits * term.per_step;
      count += term.per_step;
    }
    return std::pair(sum, count);
  };
  const EstimateOptions narrow{.state_converters = StateConverters::kIncrements};
  const auto [codes, count] = bits_of({}, {});
  const auto [increments, same_count] = bits_of(narrow, {});
  EXPECT_EQ(codes, 8 * count);
  EXPECT_EQ(count, same_count);
  EXPECT_LT(increments, codes);
  // Cells that hold all of A have no increments.
  const crossbar::CrossbarOptions direct{.recurrence = crossbar::PoleStorage::kDirect};
  EXPECT_EQ(bits_of(narrow, direct), bits_of({}, direct));
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
