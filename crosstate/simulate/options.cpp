#include "crosstate/simulate/options.h"

#include <nlohmann/json.hpp>

namespace crosstate {

void fields(FieldList& list, SimulateOptions& options) {
  list.section("simulate");
  list.add("chips", options.chips,
           "Chips programmed and tested; more give a better estimate of the worst.")
      .range(1, 100000);
}

void validate(const SimulateOptions& options) {
  SimulateOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

}  // namespace crosstate
