#include "crosstate/crossbar/options.h"

#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/analog/steps.h"
#include "crosstate/base/error.h"

namespace crosstate::crossbar {

void fields(FieldList& list, CrossbarOptions& options) {
  list.section("crossbar");
  list.add("rows", options.rows,
           "Rows (word lines) of an array, in signed pairs of cells; more rows mean fewer partial "
           "sums.")
      .range(3, 4096);
  list.add("columns", options.columns, "Columns of an array, each a signed pair of bit lines.")
      .range(3, 4096);
  list.add("levels", options.levels,
           "Number of conductance levels of a cell, evenly spaced from device.g_min to "
           "device.g_max: 2 or more, or 0 for continuous conductances.")
      .range(0, 65536);
  list.add("spare_columns", options.spare_columns,
           "Columns of the array kept free as spares for crossbar.remap; use more where more cells "
           "are faulty.")
      .range(0, 4093);
  list.add("remap", options.remap,
           "How stuck-at and open faults are repaired. columns: the columns with the largest fault "
           "errors move to spare columns; cells: the working cell of a pair is programmed to "
           "compensate for the faulty one; both: both methods.");
  list.add("slices", options.slices,
           "Replication: the number of pairs that hold each weight, on as many copies of every "
           "array. More copies reduce cell errors at the cost of area.")
      .range(1, 8)
      .renamed_from("cells");
  list.add("slice_base", options.slice_base,
           "Significance of a copy relative to the next one. 1: plain replication; all copies hold "
           "the weight and their currents are averaged, so that errors fall with the square root "
           "of crossbar.slices. Above 1: residual bit slicing; each copy is programmed to the "
           "error measured on the previous ones, converted separately and weighted digitally, so "
           "that programming errors fall by about this factor per copy.")
      .range(1, 256)
      .renamed_from("significance");
  list.add("encoding", options.encoding,
           "pair: a weight is the difference of two cells; offset: one cell minus a reference cell "
           "at the middle conductance, in a reference column that all columns share, which halves "
           "the number of cells and doubles their errors.");
  list.add("recurrence", options.recurrence,
           "increment: cells hold A - 1 and the previous state is added digitally, so that a "
           "relative cell error perturbs a pole no more than any other weight; direct: cells hold "
           "A, so that a cell error can make a slow pole unstable.");
  list.add("packing", options.packing,
           "packed: as many channels per array as fit along its diagonal; single: one array per "
           "channel, most of whose cells stay idle.");
  list.add("digital", options.digital,
           "Sites that exact integers compute instead of arrays, separated by commas: encoder, A "
           "(the next states, with B), C, pointwise, decoder; those of one block with its number, "
           "as in \"A.0\". Empty: all sites are on arrays.");
  list.add("driven", options.driven,
           "Rows of a recurrent array that are driven at once. blocks: one block at a time, the "
           "rows of one mode for its next state or of one channel for its output, so that cells of "
           "other blocks add no errors; all: every row, in two products per time step.");
  list.add("drive_halvings", options.drive_halvings,
           "With driven = \"blocks\": how many times the drive level of a row may be halved, so "
           "that the cells of B, A and C all use their full conductance range; 0 for full levels.")
      .range(0, analog::kMostDriveHalvings);
  list.add("ir_drop_iterations", options.ir_drop_iterations,
           "Iterations of IR-drop compensation. Each one solves the array and adjusts the target "
           "conductances so that all cells of a column lose the same share to wire resistance, "
           "which the column's digital scale then restores. 0: no compensation; no effect on cells "
           "with few levels, with crossbar.encoding = \"offset\" and on a real chip.")
      .range(0, 10)
      .renamed_from("wire_rounds");
  list.add("read_voltage", options.read_voltage,
           "Voltage of a row that is driven by the largest code at full level, to which "
           "dac_noise_floor, adc_offset_floor and adc_noise_floor are related.")
      .in("V")
      .range(1e-3, 10);
  list.add("dac_bits", options.dac_bits,
           "Resolution of the row drivers (DACs). Wider codes are applied in slices of dac_bits - "
           "1 bits and a sign, one product per slice; 2 for bit-serial inputs.")
      .in("bits")
      .range(2, 16);
  list.add("dac_gain_error", options.dac_gain_error,
           "Relative standard deviation of the driver gains.")
      .range(0, 1);
  list.add("dac_inl", options.dac_inl,
           "Standard deviation of the drivers' maximum integral non-linearity (INL).")
      .in("steps")
      .range(0, 1e3);
  list.add("dac_noise", options.dac_noise,
           "Root-mean-square noise of a driver, drawn at every use.")
      .in("steps")
      .range(0, 1e3);
  list.add("dac_noise_floor", options.dac_noise_floor,
           "Root-mean-square noise of a driver, in addition, which does not become less at lower "
           "drive levels.")
      .in("uV")
      .range(0, 1e6);
  list.add("adc_bits", options.adc_bits,
           "Resolution of the column converters (ADCs); with a learned range and fewer bits than "
           "the codes have, their steps widen.")
      .in("bits")
      .range(2, analog::kMostPartialBits);
  list.add("partial_bits", options.partial_bits,
           "Resolution of the converters of partial sums, where several tiles, pieces or slices "
           "are added digitally, over the range of the sum: 2 or more, or 0 for no rounding.")
      .in("bits")
      .range(0, analog::kMostPartialBits);
  list.add("adc_range", options.adc_range,
           "Range of the converters. learned: the range of the output codes, as trained; fixed: "
           "adc_full_scale times the largest possible sum; calibrated: adc_margin times the "
           "largest sum observed on data.");
  list.add("increment_range", options.increment_range,
           "Range of the converters of states with recurrence = \"increment\" and learned ranges. "
           "codes: the range of the state's codes, so that the conversion itself rounds to the "
           "next code; fitted: the largest increment that the weights allow, if the steps are then "
           "half a code or less; the sum with the previous state is then rounded digitally. States "
           "that are applied in slices always use codes, noise-shaped states fitted.");
  list.add("adc_full_scale", options.adc_full_scale,
           "Range of fixed converters relative to the largest sum that the weights allow.")
      .range(1e-6, 1);
  list.add("adc_margin", options.adc_margin,
           "Range of calibrated converters relative to the largest observed sum.")
      .range(0.01, 100);
  list.add("adc_gain_error", options.adc_gain_error,
           "Relative standard deviation of the converter gains.")
      .range(0, 1);
  list.add("adc_offset", options.adc_offset, "Standard deviation of the converter offsets.")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_inl", options.adc_inl,
           "Standard deviation of the converters' maximum integral non-linearity (INL).")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_noise", options.adc_noise, "Root-mean-square thermal noise of a conversion.")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_offset_floor", options.adc_offset_floor,
           "Standard deviation of the offset current of a column, in addition, which does not "
           "become less with a smaller range.")
      .in("uA")
      .range(0, 1e6);
  list.add("adc_noise_floor", options.adc_noise_floor,
           "Root-mean-square noise current of a conversion, in addition, which does not become "
           "less with a smaller range.")
      .in("uA")
      .range(0, 1e6);
  list.add("compensation_inputs", options.compensation_inputs,
           "Number of known inputs that compensation measures, a multiple of 32: more of them "
           "average more noise.")
      .range(32, 65536);
  list.add(
      "compensation", options.compensation,
      "Digital correction of the converted sums, measured with known inputs after programming "
      "and ageing. global: one factor per array; column: a factor and an offset per column "
      "and, for state increments, a multiple of the previous state, which restores slow poles.");
}

void validate(const CrossbarOptions& options) {
  CrossbarOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  digital_sites(options);
  if (options.levels == 1) {
    fail("options",
         "crossbar.levels = 1, expected 0 (any conductance) or 2 or more: one level holds "
         "no weight");
  }
  if (options.partial_bits == 1) {
    fail("options",
         "crossbar.partial_bits = 1, expected 0 (no rounding) or 2 to 24 bits, one of them "
         "the sign");
  }
  if (options.compensation_inputs % 32 != 0) {
    fail("options",
         "crossbar.compensation_inputs = " + std::to_string(options.compensation_inputs) +
             ", expected a multiple of 32");
  }
  if (options.spare_columns > options.columns - 3) {
    fail("options", "crossbar.spare_columns = " + std::to_string(options.spare_columns) +
                        ", expected at least 3 fewer than crossbar.columns = " +
                        std::to_string(options.columns));
  }
  const bool moves = options.remap == FaultRemap::kColumns || options.remap == FaultRemap::kBoth;
  if (moves && options.spare_columns == 0) {
    fail("options", "crossbar.remap = \"" + name_of(options.remap) +
                        "\" with crossbar.spare_columns = 0, expected at least 1");
  }
  if (options.encoding == WeightEncoding::kOffset &&
      (options.remap == FaultRemap::kCells || options.remap == FaultRemap::kBoth)) {
    fail("options", "crossbar.remap = \"" + name_of(options.remap) +
                        "\", expected none or columns with crossbar.encoding = \"offset\": a "
                        "single cell has no partner that could compensate for a fault");
  }
  if (options.encoding == WeightEncoding::kOffset && options.levels > 1 &&
      options.levels % 2 == 0) {
    fail("options", "crossbar.levels = " + std::to_string(options.levels) +
                        ", expected an odd number, or 0 for any, with crossbar.encoding = "
                        "\"offset\": weights of 0 use the middle level");
  }
}

analog::DigitalSites digital_sites(const CrossbarOptions& options) {
  return {options.digital, "crossbar.digital"};
}

analog::ArrayGeometry array_geometry(const CrossbarOptions& options,
                                     const analog::DigitalBlock& block) {
  return {.rows = static_cast<std::size_t>(options.rows),
          .columns = static_cast<std::size_t>(options.columns - options.spare_columns),
          .drive_halvings = options.driven == DrivenRows::kBlocks ? options.drive_halvings : 0,
          .kept = options.recurrence == PoleStorage::kIncrement ? 1.0f : 0.0f,
          .states = !block.states,
          .outputs = !block.outputs};
}

}  // namespace crosstate::crossbar
