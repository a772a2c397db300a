#include "crosstate/inference/compare.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::inference {

void require_comparable(const Tested& first, const Tested& second, const std::string& where) {
  const task::Readout& readout = first.set.readout;
  if (readout.task->share_of_right(readout) == nullptr) {
    fail(where, "compares right decisions on whole sequences, but " + first.name + " has " +
                    (readout.every_step() ? "a result for every step"
                                          : std::string("results of ") + readout.task->name()));
  }
  const bool same = first.set.count == second.set.count && first.set.targets == second.set.targets;
  if (!same) fail(where, "has other test sequences than " + first.name);
}

task::PairedDecisions paired_decisions(const Predictions& first, const data::Dataset& first_set,
                                       const Predictions& second, const data::Dataset& second_set) {
  task::PairedDecisions decisions;
  for (std::size_t i = 0; i < first_set.count; ++i) {
    decisions.add(task::is_right(first_set.readout, first.of(i), first_set.target(i)),
                  task::is_right(second_set.readout, second.of(i), second_set.target(i)));
  }
  return decisions;
}

nlohmann::json to_json(const task::PairedDecisions& decisions) {
  return {{"both", decisions.both},
          {"only_first", decisions.only_first},
          {"only_second", decisions.only_second},
          {"neither", decisions.neither},
          {"p_value", decisions.p_value()}};
}

}  // namespace crosstate::inference
