#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "crosstate/base/numbers.h"
#include "crosstate/pipeline/prune_run.h"

namespace crosstate::pipeline {
namespace {

using nlohmann::json;

double removed(std::size_t left, std::size_t whole) {
  return 1 - static_cast<double>(left) / static_cast<double>(whole);
}

json number(double value) { return std::isnan(value) ? json() : json(value); }

json size_json(const prune::NetworkSize& size) {
  return {{"states", size.states},
          {"stream_channels", size.stream},
          {"block_channels", size.channels},
          {"parameters", size.parameters}};
}

// The primary metric of what was saved.
double result_of(const PrunePoint& point) {
  return std::isnan(point.retrained) ? point.one_shot : point.retrained;
}

// Adds the interval of a primary metric on the test set, if there is one.
void add_interval(const PruneSummary& summary, double value, json& to) {
  const std::optional<task::Interval> interval =
      task::interval_of(summary.readout, value, summary.test_sequences);
  if (!interval) return;
  to[summary.readout.task->primary().name + "_interval"] = {interval->low, interval->high};
}

json point_json(const PrunePoint& point, const prune::NetworkSize& whole,
                const PruneSummary& summary) {
  const std::string metric = summary.readout.task->primary().name;
  json out = size_json(point.size);
  out["file"] = point.file;
  out["states_removed"] = removed(point.size.states, whole.states);
  out["stream_channels_removed"] = removed(point.size.stream, whole.stream);
  out["block_channels_removed"] = removed(point.size.channels, whole.channels);
  out[metric + "_one_shot"] = point.one_shot;
  out[metric] = number(point.retrained);
  add_interval(summary, result_of(point), out);
  out["validation_" + metric] = number(point.validation_metric);
  out["memory"] = cost::to_json(point.memory);
  out["history"] = point.training.epochs;
  return out;
}

std::string format_of(const PrunedModel& model) { return model.quantized ? "quantized" : "float"; }

report::Plot metric_plot(const PruneSummary& summary) {
  const task::TaskMetric& metric = summary.readout.task->primary();
  report::Plot plot;
  plot.title = "Test " + metric.title + " against the share of states removed";
  plot.x_label = "states removed (%)";
  plot.y_label = "test " + metric.heading();
  plot.caption = "Directly after pruning, and after retraining with fake quantization.";
  for (const PrunedModel& model : summary.models) {
    report::Series one_shot{
        format_of(model) + ", pruned", {0}, {metric.in_report(model.metric)}, {}};
    report::Series retrained{
        format_of(model) + ", retrained", {0}, {metric.in_report(model.metric)}, {}};
    for (const PrunePoint& point : model.points) {
      const double share = 100 * removed(point.size.states, model.size.states);
      one_shot.x.push_back(share);
      one_shot.y.push_back(metric.in_report(point.one_shot));
      if (std::isnan(point.retrained)) continue;
      retrained.x.push_back(share);
      retrained.y.push_back(metric.in_report(point.retrained));
    }
    plot.series.push_back(std::move(one_shot));
    if (retrained.x.size() > 1) plot.series.push_back(std::move(retrained));
  }
  return plot;
}

}  // namespace

json to_json(const PruneSummary& summary) {
  const std::string metric = summary.readout.task->primary().name;
  json models = json::array();
  for (const PrunedModel& model : summary.models) {
    json out = size_json(model.size);
    out["file"] = model.file;
    out["quantized"] = model.quantized;
    out[metric] = model.metric;
    add_interval(summary, model.metric, out);
    out["memory"] = cost::to_json(model.memory);
    out["points"] = json::array();
    for (const PrunePoint& point : model.points) {
      out["points"].push_back(point_json(point, model.size, summary));
    }
    models.push_back(std::move(out));
  }
  json out = {{"models", models},           {"test_sequences", summary.test_sequences},
              {"seconds", summary.seconds}, {"data", summary.data},
              {"machine", summary.machine}, {"config", summary.config}};
  out["notes"] = summary.notes;
  return out;
}

report::Table prune_table(const PruneSummary& summary) {
  const task::TaskMetric& metric = summary.readout.task->primary();
  const std::string unit = metric.is_share ? " (%)" : ", " + metric.title;
  report::Table table{"",
                      {"model", "states", "removed (%)", "channels", "block channels", "parameters",
                       "memory (bytes)", "pruned" + unit, "retrained" + unit, "95 % interval"},
                      {}};
  for (const PrunedModel& model : summary.models) {
    const auto row = [&](const std::string& name, const prune::NetworkSize& size,
                         const cost::MemorySummary& memory) -> std::vector<std::string> {
      return {name,
              std::to_string(size.states),
              fixed_text(100 * removed(size.states, model.size.states), 1),
              std::to_string(size.stream),
              std::to_string(size.channels),
              std::to_string(size.parameters),
              std::to_string(memory.total())};
    };
    table.rows.push_back(row(format_of(model), model.size, model.memory));
    table.rows.back().insert(table.rows.back().end(), {metric.cell(model.metric), "-",
                                                       interval_text(summary, model.metric)});
    for (const PrunePoint& point : model.points) {
      table.rows.push_back(row(point.file, point.size, point.memory));
      table.rows.back().insert(table.rows.back().end(),
                               {metric.cell(point.one_shot), metric.cell(point.retrained),
                                interval_text(summary, result_of(point))});
    }
  }
  return table;
}

report::Report prune_report(const PruneSummary& summary) {
  report::Report report;
  report.title = "Crosstate: pruning";
  report.subtitle = fixed_text(summary.seconds, 0) + " s";
  report.paragraphs.push_back(
      "Whole modes and channels are removed, which saves memory, rows, columns and time. The "
      "remaining network is retrained in the format in which it will be deployed.");
  report.tables = {prune_table(summary)};
  report.tables[0].title = "Models";
  report.plots = {metric_plot(summary)};
  report.details = {{"configuration", summary.config}, {"machine", summary.machine}};
  return report;
}

}  // namespace crosstate::pipeline
