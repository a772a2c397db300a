// The outcome of a point: its metrics, or the error message.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/pipeline/run.h"

namespace crosstate::search {

enum class PointStatus { kPending, kDone, kFailed };
constexpr auto enum_names(PointStatus) {
  return std::array{Named{"pending", PointStatus::kPending}, Named{"done", PointStatus::kDone},
                    Named{"failed", PointStatus::kFailed}};
}

struct Outcome {
  PointStatus status = PointStatus::kPending;
  std::string error;  // if the point failed
  std::map<std::string, double> metrics;
  double seconds = 0;  // computing time, including that before a resume

  /// NaN for metrics that were not measured.
  double metric(const std::string& name) const;
};

/// A column of the results. Metrics of a task are on the test set unless named otherwise.
struct Metric {
  std::string name;
  std::string meaning;
  const task::Task* task = nullptr;        // task whose results have it; null: all
  const task::TaskMetric* kind = nullptr;  // null: a plain number
};
/// All metrics, in the order of columns.
const std::vector<Metric>& metrics();
/// Their names without duplicates: two tasks may share a name.
std::vector<std::string> metric_names();
/// Metrics of one task.
std::vector<Metric> metrics_of(const task::Task& task);
/// The metric of a column in the results of a task. Throws Error for an unknown column.
Metric metric_of(const std::string& column, const task::Task& task);

/// The task of a run with these settings.
const task::Task& task_of(const pipeline::RunOptions& options);

/// The primary metric of the deployed network: "97.31 %".
std::string headline(const Outcome& outcome);

/// `integer_sums`: Task::sums() of the integer network, empty if a network cannot be converted to
/// integers. The metrics "accuracy" (or that of the task) and "bytes" are those of the last stage:
/// the integer network, else that of RunSummary::last(). A run without test sequences has measured
/// nothing on them.
Outcome outcome_of(const pipeline::RunSummary& summary, const std::vector<double>& integer_sums);
Outcome failed_outcome(const std::string& error);

/// Serialisation between processes; the second throws Error for JSON that is not an outcome.
nlohmann::json to_json(const Outcome& outcome);
Outcome outcome_from(const nlohmann::json& json);

}  // namespace crosstate::search
