#include "crosstate/search/outcome.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

constexpr std::size_t kMostError = 500;  // bytes

}  // namespace

double Outcome::metric(const std::string& name) const {
  const auto found = metrics.find(name);
  return found == metrics.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> list;
    const auto add = [&list](const task::Task& task, const std::string& prefix,
                             const std::string& meaning) {
      list.push_back({prefix + task.primary().name, meaning, &task, &task.primary()});
    };
    const auto add_task = [&](const task::Task& task, bool sizes) {
      const auto size = [&](const std::string& prefix, const std::string& meaning) {
        if (sizes) list.push_back({prefix + "bytes", meaning});
      };
      const auto add_end = [&](const std::string& end, const std::string& meaning) {
        list.push_back({task.primary().name + '_' + end, meaning, &task, &task.primary()});
      };
      const std::string title = task.primary().title;
      add(task, "",
          "test " + title + " of the deployed network: the integer network, else the last stage");
      if (task.share_of_right(task::Readout{.task = &task}) == &task.primary()) {
        add_end("low", "lower end of its 95 % interval (Wilson)");
        add_end("high", "upper end");
      }
      size("", "total memory of the last stage");
      add(task, "validation_", "of the last stage, on the validation set");
      add(task, "float_", "of the float network");
      add(task, "float_validation_", "likewise, on the validation set");
      size("float_", "memory of that network");
      add(task, "ptq_", "after post-training quantization");
      add(task, "ptq_validation_", "likewise, on the validation set");
      size("ptq_", "memory of that network");
      add(task, "qat_", "after quantization-aware training");
      add(task, "qat_validation_", "likewise, on the validation set");
      size("qat_", "memory of that network");
      add(task, "integer_", "of the integer network; none if a site is not quantized");
      add(task, "crossbar_", "mean over simulated chips");
    };
    add_task(*task::tasks().front(), true);
    for (const auto& [name, meaning] :
         {std::pair{"crossbar_deviation", "standard deviation over chips"},
          {"parameters", "number of trained parameters"},
          {"weight_bytes", "part of bytes"},
          {"bias_bytes", "part of bytes"},
          {"scale_bytes", "part of bytes"},
          {"table_bytes", "part of bytes"},
          {"state_bytes", "part of bytes"},
          {"weight_bits", "of the pointwise layers"},
          {"state_bits", "of the state"}}) {
      list.push_back({name, meaning});
    }
    for (const task::Task* task : task::tasks()) {
      if (task != task::tasks().front()) add_task(*task, false);
      for (std::size_t i = 1; i < task->metrics().size(); ++i) {
        const task::TaskMetric& metric = task->metrics()[i];
        list.push_back(
            {metric.name, "test " + metric.title + " of the deployed network", task, &metric});
      }
    }
    return list;
  }();
  return all;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Metric& metric : metrics()) {
    if (std::find(names.begin(), names.end(), metric.name) == names.end()) {
      names.push_back(metric.name);
    }
  }
  return names;
}

std::vector<Metric> metrics_of(const task::Task& task) {
  std::vector<Metric> list;
  for (const Metric& metric : metrics()) {
    if (metric.task == nullptr || metric.task == &task) list.push_back(metric);
  }
  return list;
}

Metric metric_of(const std::string& column, const task::Task& task) {
  for (Metric metric : metrics_of(task)) {
    if (metric.name != column) continue;
    if (column == "crossbar_deviation") metric.kind = &task.primary();
    return metric;
  }
  fail("results", "no column " + excerpt(column) + " of " + task.name());
}

const task::Task& task_of(const pipeline::RunOptions& options) {
  return data::task_of(options.data);
}

std::string headline(const Outcome& outcome) {
  for (const task::Task* task : task::tasks()) {
    const task::TaskMetric& metric = task->primary();
    if (outcome.metrics.contains(metric.name)) return metric.text(outcome.metric(metric.name));
  }
  return "-";
}

Outcome outcome_of(const pipeline::RunSummary& summary, const std::vector<double>& integer_sums) {
  Outcome outcome;
  outcome.status = PointStatus::kDone;
  outcome.seconds = summary.seconds;
  const task::Task& task = *summary.readout.task;
  const std::string primary = task.primary().name;
  const auto set = [&](const std::string& name, double value) {
    if (std::isfinite(value)) outcome.metrics[name] = value;
  };
  const bool tested = summary.test_sequences > 0;
  const auto set_stage = [&](const std::string& prefix, const pipeline::StageSummary& stage) {
    if (!stage.done) return;
    if (tested) set(prefix + primary, stage.metric);
    set(prefix + "validation_" + primary, stage.validation_metric);
    set(prefix + "bytes", static_cast<double>(stage.memory.total()));
  };
  set_stage("float_", summary.float_stage);
  set_stage("ptq_", summary.ptq);
  set_stage("qat_", summary.qat);
  const pipeline::StageSummary& last = summary.last();
  set_stage("", last);
  const std::vector<double>& deployed = integer_sums.empty() ? last.sums : integer_sums;
  if (tested && !deployed.empty()) {
    const std::vector<double> values = task.evaluate(summary.readout, deployed);
    for (std::size_t i = 0; i < values.size(); ++i) set(task.metrics()[i].name, values[i]);
    if (!integer_sums.empty()) set("integer_" + primary, values.front());
  }
  if (const std::optional<task::Interval> interval =
          task::interval_of(summary.readout, outcome.metric(primary), summary.test_sequences)) {
    set(primary + "_low", interval->low);
    set(primary + "_high", interval->high);
  }
  for (const auto& [name, kind] : {std::pair{"weight_bytes", cost::MemoryKind::kWeights},
                                   {"bias_bytes", cost::MemoryKind::kBiases},
                                   {"scale_bytes", cost::MemoryKind::kScales},
                                   {"table_bytes", cost::MemoryKind::kTables},
                                   {"state_bytes", cost::MemoryKind::kState}}) {
    set(name, static_cast<double>(last.memory.bytes(kind)));
  }
  set("weight_bits", last.weight_bits);
  set("state_bits", last.state_bits);
  set("parameters", static_cast<double>(summary.pruned.done ? summary.pruned_size.parameters
                                                            : summary.parameters));
  if (summary.crossbar.done) {
    set("crossbar_" + primary, summary.crossbar.chips.first().mean);
    set("crossbar_deviation", summary.crossbar.chips.first().deviation);
  }
  return outcome;
}

Outcome failed_outcome(const std::string& error) {
  Outcome outcome;
  outcome.status = PointStatus::kFailed;
  outcome.error = excerpt(error, kMostError);
  return outcome;
}

json to_json(const Outcome& outcome) {
  return {{"status", name_of(outcome.status)},
          {"error", outcome.error},
          {"metrics", outcome.metrics},
          {"seconds", outcome.seconds}};
}

Outcome outcome_from(const json& from) {
  try {
    return {named(kNames<PointStatus>, from.at("status").get<std::string>(), "status"),
            from.at("error"), from.at("metrics").get<std::map<std::string, double>>(),
            from.at("seconds")};
  } catch (const json::exception&) {
    fail("outcome",
         "expected status, error, metrics and seconds, found " + excerpt(json_text(from)));
  }
}

}  // namespace crosstate::search
