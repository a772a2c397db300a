// Published totals against the model. docs/cost.md lists which of them were used to calibrate
// constants (the test guards these) and which are predictions.
#include <gtest/gtest.h>

#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using fixtures::full_array;

constexpr double kTolerance = 0.2;

void expect_within(double model, double published, const char* what) {
  EXPECT_NEAR(model / published, 1, kTolerance) << what << ": " << model << ", not " << published;
}

// Energy of one product in pJ, including the power of the array beside its parts.
CostList full_product(const Technology& t, const ArrayUse& use) {
  CostList energy;
  add_array_product(t, use, 0, 1, energy);
  energy.terms.push_back({"static", "static", 0, double(input_slices(t, use.input_bits)),
                          t["array_active"] * slice_time(t) * 1e-3});
  return energy;
}

TEST(Validation, NeuRram) {  // calibrated, with an assumed mean weight
  const Technology t = find_technology("crossbar-130nm");
  const CostList energy = full_product(t, full_array(t, 4, 0.2));
  const double operations = 2.0 * t.rows * t.columns;
  const auto femtojoules = [&](const char* part) {
    return energy.of_part(part, 0).typical * 1e3 / operations;
  };
  expect_within(femtojoules("arrays") + femtojoules("drivers"), 21.8, "rows and cells");
  expect_within(femtojoules("converters"), 29.1, "converters");
  expect_within(femtojoules("digital") + femtojoules("buffers") + femtojoules("static"), 11.5,
                "digital");
  expect_within(operations / energy.total(0).typical, 15.95, "TOPS/W");
}

TEST(Validation, HermesCore) {  // calibrated
  const Technology t = find_technology("crossbar-14nm");
  const double picojoules = full_product(t, full_array(t, 8, 0.25)).total(0).typical;
  expect_within(picojoules, 12.5e3, "256 x 256 product");
  expect_within(2.0 * 256 * 256 / picojoules, 10.5, "TOPS/W");
}

TEST(Validation, HermesChipOf64Cores) {  // predicted from the single core
  const Technology t = find_technology("crossbar-14nm");
  const Range energy = full_product(t, full_array(t, 8, 0.25)).total(0);
  const Range time = slice_time(t);
  expect_within(energy.typical, 13.4e3, "one phase");
  expect_within(time.typical, 133, "one phase, ns");
  // Positive and negative inputs are combined with positive and negative weights one after the
  // other.
  expect_within(4 * energy.typical, 52.9e3, "four phases");
  expect_within(4 * time.typical, 521, "four phases, ns");
  expect_within(64 * 2.0 * 256 * 256 / time.typical * 1e-3, 63.1, "TOPS");
  expect_within(2.0 * 256 * 256 / energy.typical, 9.76, "TOPS/W");
}

// An array of ISAAC has 128 x 128 cells of 2 bits; 16-bit weights need eight of them, 16-bit inputs
// sixteen cycles.
struct Isaac {
  Technology t = find_technology("crossbar-32nm");
  ArrayUse use;
  Isaac() {
    use.rows = use.columns = 128;
    use.cells = 2.0 * 128 * 128;
    use.weight = 0.5 * 128 * 128;
    use.input_bits = 16;
  }
  double cycles() const { return input_slices(t, 16); }
  double nanoseconds() const { return cycles() * slice_time(t).typical; }
};

TEST(Validation, IsaacCrossbarUnits) {  // sums of components
  const Isaac isaac;
  EXPECT_EQ(isaac.cycles(), 16);
  const CostList energy = full_product(isaac.t, isaac.use);
  double unit = 0;  // 8 arrays with drivers and converters, without registers
  for (const char* part : {"arrays", "drivers", "converters", "digital"}) {
    unit += 8 * energy.of_part(part, 0).typical;
  }
  // pJ / ns = mW.
  expect_within(unit / isaac.nanoseconds(), 24.08 - 1.47, "mW of a unit");
  expect_within(96 * energy.total(0).typical / isaac.nanoseconds(), 330, "mW of a tile");
  expect_within(168e-3 * 96 * energy.total(0).typical / isaac.nanoseconds(), 55.4,
                "W of 168 tiles");
}

TEST(Validation, IsaacAreaAndThroughput) {
  const Isaac isaac;
  const double array = array_area(isaac.t).typical;
  expect_within(96 * array, 0.372, "mm2 of a tile");
  const double chip = 168 * 96 * array + 22.88;  // with four links
  expect_within(chip, 85.4, "mm2 of the chip");
  // 2 operations for every 8 cells in 16 cycles.
  const double operations = 168.0 * 96 * 2 * 128 * 128 / 8;
  expect_within(operations / isaac.nanoseconds() / chip, 478.95, "GOPS/mm2");
}

// Of chips whose numbers no constant was calibrated to.
constexpr double kFactorOfTwo = 2;

void expect_within_a_factor_of_two(double model, double published, const char* what) {
  EXPECT_LT(model / published, kFactorOfTwo) << what << ": " << model << ", not " << published;
  EXPECT_GT(model / published, 1 / kFactorOfTwo) << what << ": " << model;
}

// Ambrogio et al., doi:10.1038/s41586-023-06337-5: 14 nm, phase-change memory, tiles of 512 x 2,048
// devices of which four hold a weight, up to 12.4 TOPS/W sustained by the chip.
TEST(Validation, AnalogChipOf34Tiles) {
  Technology t = find_technology("crossbar-14nm");
  t.rows = t.columns = 512;
  const double picojoules = full_product(t, full_array(t, 8, 0.25)).total(0).typical;
  expect_within_a_factor_of_two(2.0 * 512 * 512 / picojoules, 12.4, "TOPS/W");
}

// Ankit et al., arXiv 1901.10351: a programmable design at 32 nm with weights and inputs of 16
// bits, 837 GOPS/s/W.
TEST(Validation, Puma) {
  const Isaac isaac;
  const double operations = 2.0 * 128 * 128 / 8;  // of one array
  const double picojoules = full_product(isaac.t, isaac.use).total(0).typical;
  expect_within_a_factor_of_two(operations / picojoules, 0.837, "TOPS/W");
}

// Liu et al., doi:10.1109/ISSCC19947.2020.9062953: 130 nm, RRAM, 784 x 100 pairs with three levels
// and inputs of one bit, read with 0.2 V, up to 78.4 TOPS/W. Such an input is one of the seven
// pulses for which the constants of NeuRRAM stand. The bits of the converter at that efficiency are
// not known to us; it is adjustable.
TEST(Validation, RramChipWithInputsOfOneBit) {
  Technology t = find_technology("crossbar-130nm");
  t.rows = 784;
  t.columns = 100;
  t.input_bits = 1;
  constexpr double kPulses = 7;
  for (const char* name : {"read_time", "drive"}) {
    Range& value = t.constants[name].value;
    value = {value.low / kPulses, value.typical / kPulses, value.high / kPulses};
  }
  t.constants["read_voltage"].value = {0.2, 0.2, 0.2};
  for (int bits = 1; bits <= 8; ++bits) {
    ArrayUse use = full_array(t, 1, 0.5);
    use.output_bits = bits;
    const double picojoules = full_product(t, use).total(0).typical;
    expect_within_a_factor_of_two(2.0 * t.rows * t.columns / picojoules, 78.4, "TOPS/W");
  }
}

// Two converters at 180 nm, successive approximation with a single slope, 8.0 and 8.4 effective
// bits at 30 and 24 MHz: doi:10.23919/VLSIC.2019.8778200, 38 pJ, and
// doi:10.1109/ISSCC42614.2022.9731597, 34.2 pJ.
TEST(Validation, ConvertersAt180Nanometres) {
  const double picojoules =
      find_technology("crossbar-180nm-taox")["convert"].typical * kPicoPerFemto;
  expect_within_a_factor_of_two(picojoules, 38, "pJ, 8.0 bits");
  expect_within_a_factor_of_two(picojoules, 34.2, "pJ, 8.4 bits");
}

// Aguirre et al., doi:10.1038/s41467-024-45670-9, table 3, TPU v1: products of 8 bits at 28 nm,
// 2.3 TOPS/W at the peak.
TEST(Validation, DigitalProductsAt28Nanometres) {
  const Technology t = same_node(find_technology("accelerator-45nm"), 28);
  const double femtojoules = 64 * t["multiply_bit"].typical + 32 * t["add_bit"].typical +
                             8 * t["memory_bit"].typical + t["control"].typical;
  expect_within_a_factor_of_two(2e3 / femtojoules, 2.3, "TOPS/W");
}

TEST(Validation, CellRead) {  // NeuroSim: 0.55 V on 100 kohm for 10 ns
  Technology t = find_technology("crossbar-14nm");
  const auto set = [&](const char* name, double value) {
    t.constants[name].value = {value, value, value};
  };
  set("read_voltage", 0.55);
  set("cell_high", 10);
  set("cell_low", 0);
  set("read_time", 10);
  set("activity", 1);
  ArrayUse use;
  use.weight = 1;
  use.input_bits = 8;
  CostList energy;
  add_array_product(t, use, 0, 1, energy);
  expect_within(energy.of_part("arrays", 0).typical * 1e3, 30, "fJ");
}

TEST(Validation, ConverterBits) {  // ISAAC's converters of 4, 6 and 10 bits from that of 8
  const Technology t = find_technology("crossbar-32nm");
  const auto picojoules = [&](int bits) {
    ArrayUse use;
    use.columns = 1;
    use.input_bits = 1;
    use.output_bits = bits;
    CostList energy;
    add_array_product(t, use, 0, 1, energy);
    return energy.of_part("converters", 0).typical;
  };
  expect_within(picojoules(4), 0.79, "4 bits");
  expect_within(picojoules(6), 1.20, "6 bits");
  expect_within(picojoules(8), 1.67, "8 bits");
  expect_within(picojoules(10), 2.38, "10 bits");
}

// Cycles and energy of a product are calibrated with the dense network of MLPerf Tiny; its
// convolutional network for keyword spotting is a prediction.
TEST(Validation, KeywordSpottingOnACortexM4) {
  const Technology t = find_technology("mcu-int8");
  const double products = 320000 + 4 * (72000 + 512000) + 768;
  const double cycles = products * t["mac8"].typical;
  expect_within(cycles * t["cycle_energy"].typical * 1e-6, 5627.485, "uJ");
  expect_within(cycles / t["clock"].typical * 1e-3, 1e3 / 13.381, "ms");
}

// Horowitz: operations at 45 nm, from the constants per bit.
TEST(Validation, IntegerArithmetic) {
  const Technology t = find_technology("accelerator-45nm");
  expect_within(t["multiply_bit"].typical * 64 * 1e-3, 0.2, "8 x 8 bits, pJ");
  expect_within(t["multiply_bit"].typical * 1024 * 1e-3, 3.1, "32 x 32 bits, pJ");
  expect_within(t["add_bit"].typical * 8 * 1e-3, 0.03, "8 bits, pJ");
  expect_within(t["add_bit"].typical * 32 * 1e-3, 0.1, "32 bits, pJ");
  expect_within(t["memory_bit"].typical * 64 * 1e-3, 10, "64 bits from memory, pJ");
}

}  // namespace
}  // namespace crosstate::cost
