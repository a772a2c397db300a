#include "crosstate/cost/options.h"

#include "crosstate/analog/steps.h"

namespace crosstate::cost {
namespace {

constexpr double kMostLines = 4096;  // as of crossbar.rows and crossbar.columns

}  // namespace

void fields(FieldList& list, EstimateOptions& options) {
  list.section("cost");
  list.add("idle", options.idle,
           "Arrays and converters while other sites compute: power-gated and woken once per time "
           "step, powered all the time, or what takes less energy.");
  list.add("idle_cells", options.idle_cells,
           "Pairs without a weight: at the lowest conductance, or open.");
  list.add(
      "blocks", options.blocks,
      "Driven blocks of a recurrent array: one after the other, or all at once, with a row for "
      "every drive level. simulate models the first.");
  list.add("state_converters", options.state_converters,
           "Bits of converters of states without a residue: those of the codes, or per column the "
           "fewest that read its increments in steps of half a code.");
  list.add("converter", options.converter,
           "Type of the converters: those of the target, or published ones of another type.");
  list.add("weights", options.weights, "Memory of the weights of digital accelerators.");
  list.add("rows", options.rows,
           "Word lines of an array, at least 3; 0: as many as the target has.")
      .range(0, kMostLines);
  list.add("columns", options.columns,
           "Signed pairs of bit lines of an array, at least 3; 0: as many as the target has.")
      .range(0, kMostLines);
  list.add("converter_bits", options.converter_bits,
           "Bits of the converters of arrays, which read wider codes in wider steps "
           "(crossbar.adc_bits of simulated chips); 0: as many as the codes have.")
      .in("bits")
      .range(0, analog::kMostPartialBits);
}

void fields(FieldList& list, InferenceOptions& options) {
  list.section("cost");
  list.add("steps", options.steps,
           "Time steps per inference; 0: length of the longest sequence of the set.")
      .range(0, 1e9);
  list.add("accelerator", options.accelerator,
           "Digital accelerator (name or file) that is scaled to the node of crossbars, for "
           "--same-node, cost.rate and the sites of crossbar.digital.");
}

}  // namespace crosstate::cost
