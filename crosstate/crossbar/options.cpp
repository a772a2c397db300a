#include "crosstate/crossbar/options.h"

#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/analog/steps.h"
#include "crosstate/base/error.h"

namespace crosstate {

void fields(FieldList& list, CrossbarOptions& options) {
  list.section("crossbar");
  list.add("rows", options.rows,
           "Rows of signed pairs in an array; more rows mean fewer partial sums.")
      .range(3, 4096);
  list.add("columns", options.columns, "Columns of signed pairs in an array.").range(3, 4096);
  list.add("levels", options.levels,
           "Conductances that a cell is programmed to, evenly from device.g_min to device.g_max: 2 "
           "or more, or 0 for any.")
      .range(0, 65536);
  list.add("spare_columns", options.spare_columns,
           "Columns of crossbar.columns that no weight is mapped to, for crossbar.remap; more "
           "where more cells are faulty.")
      .range(0, 4093);
  list.add("remap", options.remap,
           "What becomes of faulty cells. columns: those columns whose faults cause the largest "
           "errors move to spare ones; cells: the sound cell of a pair is set against the faulty "
           "one; both.")
      .one_of({"none", "columns", "cells", "both"});
  list.add("slices", options.slices,
           "Pairs that hold each weight, on as many copies of every array; more lower the errors "
           "of cells at the price of arrays.")
      .range(1, 8)
      .renamed_from("cells");
  list.add("slice_base", options.slice_base,
           "How much more a copy counts than the next one. 1: all hold the weight and their "
           "currents are averaged, so that errors fall with the square root of crossbar.slices; "
           "above: each copy is programmed to what a read finds missing on those before, is "
           "converted on its own and weighted digitally, so that programming errors fall by about "
           "this factor per copy.")
      .range(1, 256)
      .renamed_from("significance");
  list.add("encoding", options.encoding,
           "pair: a weight is the difference of two cells; offset: one cell around the middle "
           "conductance, less that of a column of reference cells that all columns share, which "
           "takes half the cells and twice their errors.")
      .one_of({"pair", "offset"});
  list.add("recurrence", options.recurrence,
           "increment: cells hold A - 1 and the converters carry the state, so that a cell's "
           "relative error changes a pole's gain as little as any weight's; direct: cells hold A, "
           "where the error of a slow pole decides whether it is stable.")
      .one_of({"increment", "direct"});
  list.add("packing", options.packing,
           "packed: as many channels on an array as fit along its diagonal; single: one array per "
           "channel, which leaves most of it idle.")
      .one_of({"packed", "single"});
  list.add("driven", options.driven,
           "Rows of a recurrent array that are driven at once. blocks: those of one mode for its "
           "new state and those of one channel for its output, one block after the other, so that "
           "no other cell adds its errors to a sum; all: every row, in two products a time step.")
      .one_of({"blocks", "all"});
  list.add("drive_halvings", options.drive_halvings,
           "With driven blocks: how often the level that drives a row may be halved, so that the "
           "cells of B, A and C all use their range; 0 for full levels.")
      .range(0, kMostDriveHalvings);
  list.add("ir_drop_iterations", options.ir_drop_iterations,
           "How often the conductances to be programmed are set anew against what the wires take "
           "from far cells, each with one solution of the array: then all cells of a column lose "
           "the same share, which its digital scale knows. 0 for none; without effect on cells of "
           "few levels, with crossbar.encoding = \"offset\" and on a real chip.")
      .range(0, 10)
      .renamed_from("wire_rounds");
  list.add("dac_bits", options.dac_bits,
           "Resolution of the drivers of the rows. Codes with more levels go in by slices of one "
           "bit less and a sign, one product each; 2 for bit-serial inputs.")
      .in("bits")
      .range(2, 16);
  list.add("dac_gain_error", options.dac_gain_error, "Relative spread of the gains of the drivers.")
      .range(0, 1);
  list.add("dac_inl", options.dac_inl, "Spread of the drivers' largest integral non-linearity.")
      .in("steps")
      .range(0, 1e3);
  list.add("dac_noise", options.dac_noise, "Noise of every drive, root mean square.")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_bits", options.adc_bits,
           "Resolution of the converters of the columns; with a learned range below that of the "
           "codes, their steps widen.")
      .in("bits")
      .range(2, 16);
  list.add("partial_bits", options.partial_bits,
           "Resolution of the converters where several tiles, pieces or slices are summed "
           "digitally, over the range of the sum: 2 or more, or 0 for no rounding there.")
      .in("bits")
      .range(0, kMostPartialBits);
  list.add("adc_range", options.adc_range,
           "learned: that of the codes, which training has chosen; fixed: a share of the largest "
           "possible sum; calibrated: by the largest sum on data.")
      .one_of({"learned", "fixed", "calibrated"});
  list.add("increment_range", options.increment_range,
           "Range of the converters of states with recurrence = \"increment\" and learned ranges. "
           "codes: the states', which one rounding turns into the next codes; fitted: the largest "
           "increment that the weights allow, where steps and errors are then half a code or less, "
           "and the sum with the state so far is rounded digitally. Where states go in by slices, "
           "always codes.")
      .one_of({"codes", "fitted"});
  list.add("adc_full_scale", options.adc_full_scale,
           "Range of fixed converters over the largest sum that the weights allow.")
      .range(1e-6, 1);
  list.add("adc_margin", options.adc_margin, "Range of calibrated converters over what was seen.")
      .range(0.01, 100);
  list.add("adc_gain_error", options.adc_gain_error,
           "Relative spread of the gains of the converters.")
      .range(0, 1);
  list.add("adc_offset", options.adc_offset, "Spread of the offsets of the converters.")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_inl", options.adc_inl, "Spread of the converters' largest integral non-linearity.")
      .in("steps")
      .range(0, 1e3);
  list.add("adc_noise", options.adc_noise, "Thermal noise of every conversion, root mean square.")
      .in("steps")
      .range(0, 1e3);
  list.add("compensation", options.compensation,
           "Digital correction of read sums after programming and ageing, from products of known "
           "inputs: one factor per array, or factor and offset per column, and of the increment of "
           "a state also a share of the state so far, which keeps slow poles where they should be.")
      .one_of({"none", "global", "column"});
}

void validate(const CrossbarOptions& options) {
  CrossbarOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
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
  if (options.spare_columns > options.columns - 3) {
    fail("options", "crossbar.spare_columns = " + std::to_string(options.spare_columns) +
                        ", expected at least 3 fewer than crossbar.columns = " +
                        std::to_string(options.columns));
  }
  const bool moves = options.remap == "columns" || options.remap == "both";
  if (moves && options.spare_columns == 0) {
    fail("options", "crossbar.remap = \"" + options.remap +
                        "\" with crossbar.spare_columns = 0, expected at least 1");
  }
  if (options.encoding == "offset" && (options.remap == "cells" || options.remap == "both")) {
    fail("options", "crossbar.remap = \"" + options.remap +
                        "\", expected none or columns with crossbar.encoding = \"offset\": a cell "
                        "of its own has no other to make up for it");
  }
  if (options.encoding == "offset" && options.levels > 1 && options.levels % 2 == 0) {
    fail("options", "crossbar.levels = " + std::to_string(options.levels) +
                        ", expected an odd number, or 0 for any, with crossbar.encoding = "
                        "\"offset\": weights of 0 stand on the middle level");
  }
}

ArrayGeometry array_geometry(const CrossbarOptions& options) {
  return {.rows = static_cast<std::size_t>(options.rows),
          .columns = static_cast<std::size_t>(options.columns - options.spare_columns),
          .drive_halvings = options.driven == "blocks" ? options.drive_halvings : 0,
          .kept = options.recurrence == "increment" ? 1.0f : 0.0f};
}

}  // namespace crosstate
