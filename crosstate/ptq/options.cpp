#include "crosstate/ptq/options.h"

namespace crosstate::ptq {

void fields(FieldList& list, SearchOptions& options) {
  list.section("ptq");
  list.add("loss", options.loss,
           "Most points of the primary metric (percentage points of accuracy) that a searched "
           "format "
           "may lose against the float network on held-out sequences; the format with the fewest "
           "bytes is taken, then the one with the fewest bit operations.")
      .in("points")
      .range(0, 100);
  list.add("bytes", options.bytes,
           "Memory of the deployed network: the format with the least error within it is taken, "
           "whatever it loses; 0: the least that ptq.loss allows.")
      .in("bytes")
      .range(0, 2e9);
  list.add("front", options.front,
           "Number of additional formats to find, from the most precise to the smallest in equal "
           "ratios of bytes; each has the least error within its bytes.")
      .in("formats")
      .range(0, 100);
  list.add(
          "sequences", options.sequences,
          "Held-out sequences on which formats are compared; the one that is taken is confirmed on "
          "all of them.")
      .in("sequences")
      .range(16, 1e6);
}

}  // namespace crosstate::ptq
