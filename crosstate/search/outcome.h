// What became of a point: its metrics, or why it failed.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/pipeline/run.h"

namespace crosstate {

struct Outcome {
  std::string status = "pending";  // pending | done | failed
  std::string error;               // of a point that failed
  std::map<std::string, double> metrics;
  double seconds = 0;  // of work, with that before a resume

  /// NaN for what was not measured.
  double metric(const std::string& name) const;
};

/// A column of the results. Accuracies are shares of the test set, unless validation.
struct Metric {
  const char* name;
  const char* meaning;
};
/// Every metric that there is, in the order of columns.
const std::vector<Metric>& metrics();

/// `integer_accuracy` is NaN where a network cannot become whole numbers. The metrics "accuracy",
/// "bytes" and their like are those of the last stage: whole numbers, else quantization-aware
/// training, else floating point.
Outcome outcome_of(const RunSummary& summary, double integer_accuracy);
Outcome failed_outcome(const std::string& error);

/// As one process tells another; and back, which throws Error for text that is no outcome.
nlohmann::json to_json(const Outcome& outcome);
Outcome outcome_from(const nlohmann::json& json);

}  // namespace crosstate
