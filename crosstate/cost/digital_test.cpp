// Microcontrollers and accelerators, computed by hand for single sites.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using fixtures::plain_technology;
using testing::HasSubstr;
using testing::ThrowsMessage;

Technology microcontroller() {
  Technology t = plain_technology(TargetKind::kMicrocontroller);
  const auto set = [&](const char* name, const Range& value) {
    t.constants.at(name).value = value;
  };
  set("clock", {50, 100, 200});      // MHz
  set("cycle_energy", {5, 10, 40});  // pJ
  set("mac8", {1, 1, 1});
  set("mac16", {2, 2, 2});
  set("mac_float", {40, 40, 40});
  set("addition", {3, 3, 3});
  set("requantisation", {5, 5, 5});
  set("rounding", {6, 6, 6});
  set("look_up", {4, 4, 4});
  set("function", {100, 100, 100});
  set("step_overhead", {7, 7, 7});
  set("area", {2, 3, 4});
  return t;
}

// Cycles of a time step that consists of one site.
double cycles(OperationSite site) {
  OperationSummary operations;
  operations.sites = {std::move(site)};
  const Estimate e = estimate(operations, {}, false, microcontroller());
  return e.energy.per_step().typical / 10;
}

TEST(Microcontroller, CountsTheCyclesOfASite) {
  EXPECT_EQ(cycles({}), 7);  // the overhead alone
  EXPECT_EQ(cycles({.macs = 10, .weight_bits = 8, .input_bits = 2}), 7 + 10);
  EXPECT_EQ(cycles({.macs = 10, .weight_bits = 8, .input_bits = 9}), 7 + 20);
  EXPECT_EQ(cycles({.macs = 10, .weight_bits = 16, .input_bits = 8}), 7 + 20);
  EXPECT_EQ(cycles({.macs = 10, .weight_bits = 8, .input_bits = 17}),
            7 + 40);  // two half-words
  EXPECT_EQ(cycles({.macs = 10, .weight_bits = 32, .input_bits = 32, .in_floats = true}), 7 + 400);
  EXPECT_EQ(cycles({.additions = 2}), 7 + 6);
  EXPECT_EQ(cycles({.requantisations = 2}), 7 + 10);
  EXPECT_EQ(cycles({.roundings = 2}), 7 + 12);
  EXPECT_EQ(cycles({.look_ups = 2}), 7 + 8);
  EXPECT_EQ(cycles({.functions = 2}), 7 + 200);
}

TEST(Microcontroller, CyclesTakeEnergyAndTime) {
  OperationSummary operations;
  operations.sites = {{.macs = 93, .weight_bits = 8, .input_bits = 8},
                      {.at_end = true, .macs = 43, .weight_bits = 8, .input_bits = 8}};
  const Estimate e = estimate(operations, {}, false, microcontroller());
  EXPECT_EQ(e.target, "plain");
  // 100 cycles in each of 3 steps and 50 at the end.
  EXPECT_EQ(e.energy.total(3), (Range{350 * 5, 350 * 10, 350 * 40}));
  const Range ns = e.latency.total(3);  // the fastest clock gives the shortest time
  EXPECT_DOUBLE_EQ(ns.low, 350 * 1e3 / 200);
  EXPECT_DOUBLE_EQ(ns.typical, 350 * 1e3 / 100);
  EXPECT_DOUBLE_EQ(ns.high, 350 * 1e3 / 50);
  EXPECT_EQ(e.area.total(0), (Range{2, 3, 4}));
  EXPECT_EQ(e.arrays, 0u);
  EXPECT_EQ(estimate({}, {}, false, microcontroller()).energy.total(5), Range{});
}

Technology accelerator() {
  Technology t = plain_technology(TargetKind::kAccelerator);
  const auto set = [&](const char* name, double value) {
    t.constants.at(name).value = {value, value, value};
  };
  set("clock", 250);
  set("lanes", 4);
  set("multiply_bit", 3e3);  // fJ
  set("add_bit", 2e3);
  set("float_multiply", 5);  // pJ
  set("float_add", 7);
  set("function_products", 10);
  set("memory_bit", 1e3);
  set("control", 500);  // fJ
  set("nonvolatile_bit", 9e3);
  set("leakage_bit", 1e6);  // pW
  set("leakage_area", 50);  // uW/mm2
  set("gating", 20);
  set("wake_area", 600);      // pJ/mm2
  set("multiply_area", 1e4);  // um2
  set("add_area", 1e3);
  set("float_area", 1e6);
  set("memory_area", 100);
  return t;
}

TEST(Accelerator, AddsUpTheEnergyOfASite) {
  OperationSummary operations;
  operations.sites = {{.macs = 10,
                       .weight_bits = 4,
                       .input_bits = 8,
                       .weights = 10,
                       .moved_bits = 60,
                       .additions = 2,
                       .addition_bits = 24,
                       .requantisations = 1,
                       .roundings = 1}};
  const Estimate e = estimate(operations, {500, 40}, false, accelerator());
  const double products = 10 * 4 * 8 + kMultiplierWidth * kAccumulatorWidth;
  const double sums = (10 + 1 + 1) * kAccumulatorWidth + 2 * 24;
  EXPECT_DOUBLE_EQ(e.energy.of_part("arithmetic", 1).typical, 3 * products + 2 * sums);
  EXPECT_DOUBLE_EQ(e.energy.of_part("memory", 1).typical, 10 * 4 + 60);
  // 14 operations on 4 lanes at 250 MHz: 14 ns. 500 bits leak 0.5 mW: 1e6 pW x 500 x 14 ns.
  EXPECT_DOUBLE_EQ(e.latency.total(1).typical, 14);
  // So do 1.408 mm2 of logic.
  EXPECT_DOUBLE_EQ(e.energy.of_part("static", 1).typical,
                   1e6 * 1e-9 * 500 * 14 + 1.408 * 50 * 14 * 1e-3);
  EXPECT_DOUBLE_EQ(e.energy.of_part("clock and control", 1).typical, 14 * 0.5);
  EXPECT_DOUBLE_EQ(e.energy.total(2).typical, 2 * e.energy.total(1).typical);
  // 4 lanes of 32-bit products and 32-bit sums, and 500 bits.
  EXPECT_DOUBLE_EQ(e.area.total(0).typical, 1e-6 * (4 * (32 * 1e4 + 32 * 1e3) + 500 * 100));
}

TEST(Accelerator, RetainsItsMemoryWhileItRests) {
  OperationSummary operations;
  operations.sites = {
      {.macs = 10, .weight_bits = 4, .input_bits = 8, .weights = 10, .moved_bits = 60}};
  const Technology t = accelerator();
  const Estimate sram = estimate(operations, {500, 40}, false, t);
  EXPECT_EQ(sram.operations_per_step, 20);
  // 1.408 mm2 of logic, gated by a factor of 20, and 0.05 mm2 of memory.
  EXPECT_DOUBLE_EQ(sram.rest.of_part("memory", 0).typical, 500.0);  // 1 uW a bit
  EXPECT_DOUBLE_EQ(sram.rest.of_part("gated logic", 0).typical, 1.408 * 50 / 20);
  EXPECT_DOUBLE_EQ(sram.wake.total(0).typical, (1.408 + 0.05) * 600);
  // Non-volatile weights take more energy to read, and none to retain.
  const Estimate other =
      estimate(operations, {500, 40}, false, t, {.weights = WeightMemory::kNonvolatile});
  EXPECT_DOUBLE_EQ(other.rest.of_part("memory", 0).typical, 40.0);
  EXPECT_DOUBLE_EQ(other.energy.of_part("memory", 1).typical, 10 * 4 * 9 + 60);
  EXPECT_LT(other.energy.of_part("static", 1).typical, sram.energy.of_part("static", 1).typical);
}

TEST(Accelerator, FloatsTakeFloatUnits) {
  OperationSummary operations;
  operations.sites = {{.macs = 10,
                       .weight_bits = 32,
                       .input_bits = 32,
                       .additions = 2,
                       .functions = 3,
                       .in_floats = true}};
  const Estimate e = estimate(operations, {}, true, accelerator());
  EXPECT_DOUBLE_EQ(e.energy.of_part("arithmetic", 1).typical, 10 * 5 + 12 * 7 + 3 * 10 * (5 + 7));
  EXPECT_DOUBLE_EQ(e.latency.total(1).typical, 15);
  EXPECT_DOUBLE_EQ(e.area.total(0).typical, 1e-6 * 4 * 1e6);  // no multipliers of integers
}

TEST(Digital, RefusesWhatATargetCannotCompute) {
  Technology integers_alone = microcontroller();
  integers_alone.floats = false;
  EXPECT_NO_THROW(estimate({}, {}, false, integers_alone));
  EXPECT_THAT([&] { estimate({}, {}, true, integers_alone); },
              ThrowsMessage<Error>(HasSubstr("plain: computes in integers")));
  EXPECT_THAT([&] { estimate({}, {}, false, plain_technology(TargetKind::kCrossbar)); },
              ThrowsMessage<Error>(HasSubstr("plain: is a crossbar")));
}

}  // namespace
}  // namespace crosstate::cost
