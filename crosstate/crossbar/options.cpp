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
}

void validate(const CrossbarOptions& options) {
  CrossbarOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

}  // namespace crosstate
