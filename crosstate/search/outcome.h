// The outcome of a point: its metrics, or the error message.
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
  double seconds = 0;  // of computing time, including that before a resume

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

/// `integer_accuracy` is NaN where a network cannot be converted to integers. The metrics
/// "accuracy" and "bytes" are those of the last stage: the integer network, else quantization-aware
/// training, else floating point.
Outcome outcome_of(const RunSummary& summary, double integer_accuracy);
Outcome failed_outcome(const std::string& error);

/// Serialisation between processes; the second throws Error for JSON that is not an outcome.
nlohmann::json to_json(const Outcome& outcome);
Outcome outcome_from(const nlohmann::json& json);

}  // namespace crosstate
