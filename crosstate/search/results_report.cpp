// The tables, the plot and the page of a sweep.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/report/machine.h"
#include "crosstate/search/results.h"

namespace crosstate::search {
namespace {

// Metric of a column; null for a plain number.
const task::TaskMetric* kind_of(const std::string& column, const task::Task& task) {
  return metric_of(column, task).kind;
}

// "97.31 ± 0.12"; "-" if nothing was measured.
std::string cell(const SweepGroup& group, const std::string& column, const task::Task& task) {
  const SeedSpread& spread = group.metrics.at(column);
  if (std::isnan(spread.mean)) return "-";
  const task::TaskMetric* const kind = kind_of(column, task);
  const auto text = [&](double value) { return kind ? kind->cell(value) : fixed_text(value, 0); };
  const bool varies = !std::isnan(spread.deviation) && (kind != nullptr || spread.deviation > 0);
  return varies ? text(spread.mean) + " ± " + text(spread.deviation) : text(spread.mean);
}

report::Table table_of(const SweepResults& results, const std::vector<std::size_t>& groups,
                       const task::Task& task) {
  const task::TaskMetric& metric = task.primary();
  const std::string unit = metric.is_share ? " (%)" : " (" + metric.title + ')';
  std::vector<std::pair<std::string, std::string>> columns = {
      {"float" + unit, "float_" + metric.name},
      {"PTQ" + unit, "ptq_" + metric.name},
      {"QAT" + unit, "qat_" + metric.name},
      {"integers" + unit, "integer_" + metric.name},
      {"on crossbars" + unit, "crossbar_" + metric.name}};
  for (std::size_t i = 1; i < task.metrics().size(); ++i) {
    columns.emplace_back(task.metrics()[i].heading(), task.metrics()[i].name);
  }
  columns.emplace_back("bytes", "bytes");
  report::Table table;
  table.header = results.keys;
  table.header.push_back("runs");
  const auto measured = [&](const std::string& column) {
    return std::any_of(results.groups.begin(), results.groups.end(), [&](const SweepGroup& group) {
      return !std::isnan(group.metrics.at(column).mean);
    });
  };
  for (const auto& [title, column] : columns) {
    if (measured(column)) table.header.push_back(title);
  }
  for (const std::size_t index : groups) {
    const SweepGroup& group = results.groups[index];
    std::vector<std::string>& row = table.rows.emplace_back(group.values);
    row.push_back(std::to_string(group.points.size()));
    for (const auto& [title, column] : columns) {
      if (measured(column)) row.push_back(cell(group, column, task));
    }
  }
  return table;
}

std::string axis_label(const std::string& column, const task::Task& task) {
  std::string label = column;
  std::replace(label.begin(), label.end(), '_', ' ');
  const task::TaskMetric* const kind = kind_of(column, task);
  return kind != nullptr && kind->is_share ? label + " (%)" : label;
}

// One line through groups, from left to right.
struct Line {
  std::string name, x, y;  // columns
  std::vector<std::size_t> groups;
};

report::Series series_of(const SweepResults& results, Line line, const task::Task& task) {
  const auto shown = [&](const std::string& column, double value) {
    const task::TaskMetric* const kind = kind_of(column, task);
    return kind != nullptr ? kind->in_report(value) : value;
  };
  const auto x_of = [&](std::size_t g) { return results.groups[g].metrics.at(line.x).mean; };
  std::stable_sort(line.groups.begin(), line.groups.end(),
                   [&](std::size_t a, std::size_t b) { return x_of(a) < x_of(b); });
  report::Series series{line.name, {}, {}, {}};
  bool has_errors = false;
  for (const std::size_t g : line.groups) {
    const SeedSpread& y = results.groups[g].metrics.at(line.y);
    if (std::isnan(x_of(g)) || std::isnan(y.mean)) continue;
    series.x.push_back(shown(line.x, x_of(g)));
    series.y.push_back(shown(line.y, y.mean));
    series.error.push_back(std::isnan(y.deviation) ? 0 : shown(line.y, y.deviation));
    has_errors = has_errors || y.deviation > 0;
  }
  if (!has_errors) series.error.clear();
  return series;
}

std::vector<Line> lines_of(const SweepPlan& plan, const SweepResults& results,
                           const std::vector<Objective>& objectives) {
  std::vector<std::size_t> all(results.groups.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (plan.settings.series == "stage") {
    const std::string metric = task_of(plan).primary().name;
    return {{"post-training quantization", "ptq_bytes", "ptq_" + metric, all},
            {"quantization-aware training", "qat_bytes", "qat_" + metric, all}};
  }
  const std::string x = objectives[0].column, y = objectives[1].column;
  if (plan.settings.series.empty()) return {{y, x, y, all}};
  std::vector<Line> lines;
  for (const std::size_t g : all) {
    const SweepPoint& point = plan.points[results.groups[g].points.front()];
    const std::string name =
        plan.settings.series + " = " + plan.value_of(point, plan.settings.series);
    const auto found = std::find_if(lines.begin(), lines.end(),
                                    [&](const Line& line) { return line.name == name; });
    if (found == lines.end()) {
      lines.push_back({name, x, y, {g}});
    } else {
      found->groups.push_back(g);
    }
  }
  return lines;
}

report::Plot plot_of(const SweepPlan& plan, const SweepResults& results) {
  const task::Task& task = task_of(plan);
  const std::vector<Objective> objectives =
      parse_objectives(objectives_of(plan.settings.objectives, task));
  const bool stages = plan.settings.series == "stage";
  const std::string x = stages ? "bytes" : objectives[0].column;
  const std::string y = stages ? task.primary().name : objectives[1].column;
  report::Plot plot;
  plot.title = axis_label(y, task) + " against " + axis_label(x, task);
  plot.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(plot.title[0])));
  plot.x_label = axis_label(x, task);
  plot.y_label = axis_label(y, task);
  plot.caption =
      "Means over the seeds of a setting, with standard deviations as error bars. On the test set "
      "unless stated otherwise.";
  for (const Line& line : lines_of(plan, results, objectives)) {
    plot.series.push_back(series_of(results, line, task));
  }
  if (!stages) plot.series.push_back(series_of(results, {"front", x, y, results.front}, task));
  return plot;
}

report::Report report_of(const SweepPlan& plan, const SweepResults& results) {
  report::Report report;
  report.title = plan.settings.name.empty() ? "Sweep" : plan.settings.name;
  report.subtitle = std::to_string(results.done) + " of " + std::to_string(plan.points.size()) +
                    " points done, " + std::to_string(results.failed) + " failed";
  report.paragraphs = {
      "Every point is one complete run: float training, post-training quantization, "
      "quantization-aware training, and conversion to the deployed integer network. Points with "
      "the same data, network, float training and seed share their float network.",
      "The Pareto front has the settings that no other setting dominates in: " +
          objectives_of(plan.settings.objectives, task_of(plan)) +
          ". A setting with several seeds is represented by their mean."};
  report.plots = {plot_of(plan, results)};
  report::Table front = table_of(results, results.front, task_of(plan));
  front.title = "Front";
  report::Table all = summary_table(plan, results);
  all.title = "All settings";
  report.tables = {std::move(front), std::move(all)};
  if (results.failed > 0) report.tables.push_back(failure_table(plan, results));
  report.details = {{"machine", report::machine_summary()}};
  if (!plan.points.empty()) {
    report.details["first point"] = parse_json(plan.points.front().config);
  }
  return report;
}

}  // namespace

report::Table summary_table(const SweepPlan& plan, const SweepResults& results) {
  std::vector<std::size_t> all(results.groups.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return table_of(results, all, task_of(plan));
}

report::Table failure_table(const SweepPlan& plan, const SweepResults& results) {
  report::Table table{"Failed", {"point", "why"}, {}};
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    if (results.outcomes[i].status != PointStatus::kFailed) continue;
    table.rows.push_back({plan.points[i].name, results.outcomes[i].error});
  }
  return table;
}

report::Report write_results(const SweepPlan& plan, const SweepResults& results,
                             const std::filesystem::path& directory) {
  report::Report report = report_of(plan, results);
  write_file(directory / "results.csv", results_csv(plan, results));
  write_file(directory / "front.csv", front_csv(plan, results));
  write_file(directory / "report.html", report::to_html(report));
  return report;
}

}  // namespace crosstate::search
