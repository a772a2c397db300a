#include "crosstate/search/results.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "crosstate/base/numbers.h"
#include "crosstate/formats/csv.h"

namespace crosstate::search {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

SeedSpread spread_of(const std::vector<double>& values) {
  SeedSpread spread{kNan, kNan};
  if (values.empty()) return spread;
  const auto count = static_cast<double>(values.size());
  spread.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() < 2) return spread;
  double squares = 0;
  for (const double v : values) squares += (v - spread.mean) * (v - spread.mean);
  spread.deviation = std::sqrt(squares / (count - 1));
  return spread;
}

void measure(SweepGroup& group, const std::vector<Outcome>& outcomes) {
  for (const Metric& metric : metrics()) {
    std::vector<double> values;
    for (const std::size_t point : group.points) {
      const double value = outcomes[point].metric(metric.name);
      if (!std::isnan(value)) values.push_back(value);
    }
    group.metrics[metric.name] = spread_of(values);
  }
}

std::vector<std::string> keys_with_several_values(const SweepPlan& plan) {
  std::vector<std::string> keys;
  for (const std::string& key : plan.varied) {
    std::set<std::string> values;
    for (const SweepPoint& point : plan.points) values.insert(plan.value_of(point, key));
    if (key != "run.seed" && values.size() > 1) keys.push_back(key);
  }
  return keys;
}

std::vector<std::size_t> front_of(const std::vector<SweepGroup>& groups,
                                  const std::vector<Objective>& objectives) {
  std::vector<std::vector<double>> costs;
  for (const SweepGroup& group : groups) {
    std::vector<double>& row = costs.emplace_back();
    for (const Objective& objective : objectives) {
      const double mean = group.metrics.at(objective.column).mean;
      row.push_back(objective.maximise ? -mean : mean);
    }
  }
  std::vector<std::size_t> front = pareto_front(costs);
  std::stable_sort(front.begin(), front.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] < costs[b]; });
  return front;
}

// --- CSV
// ---------------------------------------------------------------------------------------

// Empty for NaN.
std::string cell_text(double value) { return std::isnan(value) ? "" : exact_text(value); }

std::string metric_header(const task::Task& task) {
  std::string text;
  for (const Metric& metric : metrics_of(task)) text += ',' + metric.name;
  return text;
}

std::string metric_cells(const Outcome& outcome, const task::Task& task) {
  std::string text;
  for (const Metric& metric : metrics_of(task))
    text += ',' + cell_text(outcome.metric(metric.name));
  return text;
}

// The task of a stored point, according to the settings stored with it.
const task::Task& task_of(const StoredPoint& point, const Store& store) {
  const nlohmann::json config = store.config_of(point);
  const nlohmann::json name = config.value("/data/task"_json_pointer, nlohmann::json());
  if (!name.is_string() || name == "auto") return *task::tasks().front();
  return task::task_named(name.get<std::string>(), "point " + point.name);
}

}  // namespace

const task::Task& task_of(const SweepPlan& plan) {
  return plan.points.empty() ? *task::tasks().front() : task_of(plan.points.front().options);
}

SweepResults collect(const SweepPlan& plan, const Store& store) {
  std::map<std::string, Outcome> stored;
  for (StoredPoint& point : store.points()) stored[point.name] = std::move(point.outcome);
  SweepResults results;
  results.keys = keys_with_several_values(plan);
  std::map<std::vector<std::string>, std::size_t> group_of;
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    results.outcomes.push_back(stored[plan.points[i].name]);
    const PointStatus status = results.outcomes.back().status;
    results.failed += status == PointStatus::kFailed;
    results.done += status == PointStatus::kDone;
    if (status != PointStatus::kDone) continue;
    std::vector<std::string> values;
    for (const std::string& key : results.keys) {
      values.push_back(plan.value_of(plan.points[i], key));
    }
    const auto [at, is_new] = group_of.try_emplace(values, results.groups.size());
    if (is_new) results.groups.push_back({values, {}, {}});
    results.groups[at->second].points.push_back(i);
  }
  for (SweepGroup& group : results.groups) measure(group, results.outcomes);
  results.front = front_of(
      results.groups, parse_objectives(objectives_of(plan.settings.objectives, task_of(plan))));
  return results;
}

std::string results_csv(const SweepPlan& plan, const SweepResults& results) {
  const task::Task& task = task_of(plan);
  std::string csv = "point";
  for (const std::string& key : plan.varied) csv += ',' + key;
  csv += ",status,error" + metric_header(task) + ",seconds\n";
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    const Outcome& outcome = results.outcomes[i];
    csv += formats::csv_field(plan.points[i].name);
    for (const std::string& key : plan.varied) {
      csv += ',' + formats::csv_field(plan.value_of(plan.points[i], key));
    }
    csv += ',' + name_of(outcome.status) + ',' + formats::csv_field(outcome.error) +
           metric_cells(outcome, task) + ',' + cell_text(outcome.seconds) + '\n';
  }
  return csv;
}

std::string front_csv(const SweepPlan& plan, const SweepResults& results) {
  const std::vector<Objective> objectives =
      parse_objectives(objectives_of(plan.settings.objectives, task_of(plan)));
  std::string csv;
  for (const std::string& key : results.keys) csv += key + ',';
  csv += "runs";
  for (const Objective& o : objectives) csv += ',' + o.column + ',' + o.column + "_deviation";
  csv += '\n';
  for (const std::size_t index : results.front) {
    const SweepGroup& group = results.groups[index];
    for (const std::string& value : group.values) csv += formats::csv_field(value) + ',';
    csv += std::to_string(group.points.size());
    for (const Objective& o : objectives) {
      const SeedSpread& spread = group.metrics.at(o.column);
      csv += ',' + cell_text(spread.mean) + ',' + cell_text(spread.deviation);
    }
    csv += '\n';
  }
  return csv;
}

std::string dump_csv(const Store& store) {
  const std::vector<StoredPoint> points = store.points();
  const task::Task& task = points.empty() ? *task::tasks().front() : task_of(points.front(), store);
  std::string csv = "point,status,error" + metric_header(task) + '\n';
  for (const StoredPoint& point : points) {
    csv += formats::csv_field(point.name) + ',' + name_of(point.outcome.status) + ',' +
           formats::csv_field(point.outcome.error) + metric_cells(point.outcome, task) + '\n';
  }
  return csv;
}

}  // namespace crosstate::search
