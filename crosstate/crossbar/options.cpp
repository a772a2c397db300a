#include "crosstate/crossbar/options.h"

#include <nlohmann/json.hpp>

namespace crosstate {

void fields(FieldList& list, CrossbarOptions& options) {
  list.section("crossbar");
  list.add("rows", options.rows,
           "Rows of signed pairs in an array; more rows mean fewer partial sums.")
      .range(3, 4096);
  list.add("columns", options.columns, "Columns of signed pairs in an array.").range(3, 4096);
  list.add("dac_bits", options.dac_bits,
           "Resolution of the drivers of the rows, at least that of states and activations.")
      .in("bits")
      .range(2, 16);
  list.add("adc_bits", options.adc_bits,
           "Resolution of the converters of the columns; below that of states and activations, "
           "their steps widen over the same range.")
      .in("bits")
      .range(2, 16);
  list.add("recurrence", options.recurrence,
           "increment: cells hold A - 1 and a digital adder keeps the state, so that a cell's "
           "relative "
           "error changes a pole's gain as little as any weight's; direct: cells hold A, where the "
           "error of a slow pole decides whether it is stable.")
      .one_of({"increment", "direct"});
}

void validate(const CrossbarOptions& options) {
  CrossbarOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

}  // namespace crosstate
