#include "crosstate/cost/options.h"

namespace crosstate::cost {

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
}

}  // namespace crosstate::cost
