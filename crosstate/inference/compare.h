// Two models on the same sequences: which decisions only one of them has right.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crosstate/data/dataset.h"
#include "crosstate/inference/model.h"
#include "crosstate/task/statistics.h"

namespace crosstate::inference {

/// The test sequences of a model, prepared for it.
struct Tested {
  const std::string& name;  // of the model, for errors
  const data::Dataset& set;
};

/// Throws Error with `where` unless each decision of both models on a sequence is either right or
/// wrong, and their sets have the same targets.
void require_comparable(const Tested& first, const Tested& second, const std::string& where);

/// Counts the right decisions, in the order of the sequences, of two models whose sets are
/// comparable.
task::PairedDecisions paired_decisions(const Predictions& first, const data::Dataset& first_set,
                                       const Predictions& second, const data::Dataset& second_set);

/// Keys both, only_first, only_second, neither, p_value.
nlohmann::json to_json(const task::PairedDecisions& decisions);

}  // namespace crosstate::inference
