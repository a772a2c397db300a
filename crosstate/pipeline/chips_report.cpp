#include "crosstate/pipeline/chips_report.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/numbers.h"
#include "crosstate/pipeline/run_report.h"

namespace crosstate::pipeline {
namespace {

using nlohmann::json;

const char* title_of(mapping::Site site) {
  switch (site) {
    case mapping::Site::kEncoder:
      return "encoder";
    case mapping::Site::kRecurrence:
      return "recurrence";
    case mapping::Site::kLinear:
      return "pointwise layer";
    case mapping::Site::kDecoder:
      return "decoder";
  }
  return "";
}

std::string range_text(std::size_t first, std::size_t count) {
  return std::to_string(first) + " to " + std::to_string(first + count - 1);
}

// "channels 0 to 2", with "C of" or "A of" if the other is digital, or the outputs and inputs of a
// tile.
std::string content_of(const mapping::MappedArray& a) {
  if (a.site != mapping::Site::kRecurrence) {
    return "outputs " + range_text(a.first_output, a.columns) + ", inputs " +
           range_text(a.first_input, a.rows);
  }
  const std::size_t first = a.pieces.front().channel, last = a.pieces.back().channel;
  std::string text = a.state_columns == 0 ? "C of " : a.output_columns == 0 ? "A of " : "";
  text += first == last ? "channel " + std::to_string(first)
                        : "channels " + range_text(first, last - first + 1);
  if (first == last && a.pieces.size() == 1 && a.pieces[0].first_mode > 0) {
    text += ", modes from " + std::to_string(a.pieces[0].first_mode);
  }
  return text;
}

report::Plot age_plot(const simulate::SimulateSummary& summary) {
  report::Plot plot;
  const task::TaskMetric& metric = summary.readout.task->primary();
  plot.title = "Accuracy of chips against age";
  plot.x_label = "seconds since programming";
  plot.y_label = metric.heading();
  plot.log_x = true;
  plot.caption = "Mean over chips with standard deviation, and the worst chip.";
  report::Series mean{"mean", {}, {}, {}}, worst{"worst chip", {}, {}, {}};
  for (const simulate::AgeSummary& age : summary.ages) {
    const double x = std::max(1.0, age.seconds);  // log(0) is undefined
    mean.x.push_back(x);
    mean.y.push_back(metric.in_report(age.mean));
    mean.error.push_back(metric.in_report(age.deviation));
    worst.x.push_back(x);
    worst.y.push_back(metric.in_report(age.worst));
  }
  plot.series = {std::move(mean), std::move(worst)};
  return plot;
}

report::Plot error_plot(const simulate::StateErrors& errors) {
  report::Plot plot;
  plot.title = "State error against time step";
  plot.x_label = "time step";
  plot.y_label = "RMS error (% of the largest code)";
  plot.caption =
      "One chip compared with the exact network, by the magnitude of the poles: slow modes "
      "accumulate errors over more steps.";
  for (const simulate::StateErrors::Group& group : errors.groups) {
    report::Series series{
        "|A| from " + fixed_text(group.low, 3) + " to " + fixed_text(std::min(1.0, group.high), 3),
        {},
        {},
        {}};
    const std::size_t every = std::max<std::size_t>(1, group.rms.size() / 200);
    for (std::size_t t = 0; t < group.rms.size(); t += every) {
      series.x.push_back(static_cast<double>(t + 1));
      series.y.push_back(100 * group.rms[t]);
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

}  // namespace

std::string age_text(double seconds) {
  constexpr std::array<std::pair<double, const char*>, 4> kUnits = {
      {{365.25 * 86400, "y"}, {86400, "d"}, {3600, "h"}, {60, "min"}}};
  constexpr int kDigits = 6;
  for (const auto& [unit, name] : kUnits) {
    if (seconds >= unit) return rounded_text(seconds / unit, kDigits) + ' ' + name;
  }
  return rounded_text(seconds, kDigits) + " s";
}

report::Table chips_table(const simulate::SimulateSummary& summary) {
  const task::TaskMetric& metric = summary.readout.task->primary();
  const std::string unit = metric.is_share ? " (%)" : "";
  report::Table table{
      "",
      {"age", "chips", "mean " + metric.heading(), "deviation" + unit, "worst chip" + unit},
      {}};
  for (const simulate::AgeSummary& age : summary.ages) {
    table.rows.push_back({age_text(age.seconds), std::to_string(age.metric.size()),
                          metric.cell(age.mean), metric.cell(age.deviation),
                          metric.cell(age.worst)});
  }
  return table;
}

report::Report chips_report(const std::string& model, const simulate::SimulateSummary& summary,
                            const simulate::StateErrors& errors) {
  report::Report report;
  report.title =
      "Crosstate: " + model + (summary.external ? " on an external chip" : " on simulated chips");
  report.tables = {chips_table(summary)};
  report.tables[0].title = "Chips by age";
  report::Table chip{"Chip", {"quantity", "value"}, {}};
  chip.rows = {{"arrays", std::to_string(summary.arrays)},
               {"pairs of cells in use (%)", fixed_text(100 * summary.utilisation, 1)},
               {"conversions per time step", std::to_string(summary.conversions_per_step)},
               {"conversions per sequence", std::to_string(summary.conversions_per_sequence)}};
  if (!summary.external) {
    chip.rows.push_back({"cells programmed within tolerance (%)",
                         fixed_text(100 * summary.programming.yield(), 2)});
  }
  report.tables.push_back(std::move(chip));
  if (!summary.ages.empty()) {
    for (report::Table& table : task_tables(summary.readout, summary.first().sums)) {
      table.title += ", all chips at the first age";
      report.tables.push_back(std::move(table));
    }
  }
  if (summary.ages.size() > 1) report.plots.push_back(age_plot(summary));
  if (!errors.groups.empty()) report.plots.push_back(error_plot(errors));
  return report;
}

report::Table mapping_table(const mapping::Mapping& mapping) {
  report::Table table{
      "Arrays", {"array", "site", "layer", "holds", "rows", "columns", "pairs in use (%)"}, {}};
  for (std::size_t i = 0; i < mapping.arrays.size(); ++i) {
    const mapping::MappedArray& a = mapping.arrays[i];
    const bool layered = a.site == mapping::Site::kRecurrence || a.site == mapping::Site::kLinear;
    table.rows.push_back({std::to_string(i), title_of(a.site),
                          layered ? std::to_string(a.layer) : "-", content_of(a),
                          std::to_string(a.rows), std::to_string(a.columns),
                          fixed_text(100.0 * static_cast<double>(a.used) /
                                         static_cast<double>(mapping.pairs_per_array),
                                     1)});
  }
  return table;
}

json to_json(const mapping::Mapping& mapping) {
  json arrays = json::array();
  for (const mapping::MappedArray& a : mapping.arrays) {
    json entry = {{"site", title_of(a.site)}, {"layer", a.layer},     {"rows", a.rows},
                  {"columns", a.columns},     {"pairs_used", a.used}, {"holds", content_of(a)}};
    if (a.site == mapping::Site::kRecurrence) {
      entry["states"] = a.states;
      entry["input_rows"] = a.input_rows;
      entry["state_columns"] = a.state_columns;
      entry["output_columns"] = a.output_columns;
      entry["pieces"] = json::array();
      for (const mapping::Piece& p : a.pieces) {
        entry["pieces"].push_back({{"channel", p.channel},
                                   {"first_mode", p.first_mode},
                                   {"modes", p.modes},
                                   {"first_state", p.state}});
      }
    } else {
      entry["first_input"] = a.first_input;
      entry["first_output"] = a.first_output;
    }
    arrays.push_back(std::move(entry));
  }
  return {{"arrays", arrays},
          {"copies", mapping.copies},
          {"arrays_built", mapping.built()},
          {"pairs_per_array", mapping.pairs_per_array},
          {"pairs_used", mapping.used_pairs()},
          {"utilisation", mapping.utilisation()},
          {"conversions_per_step", mapping.conversions_per_step()},
          {"conversions_per_sequence", mapping.conversions_per_sequence()}};
}

json to_json(const simulate::StateErrors& errors) {
  json out = json::array();
  for (const simulate::StateErrors::Group& g : errors.groups) {
    out.push_back({{"low", g.low}, {"high", g.high}, {"modes", g.modes}, {"rms", g.rms}});
  }
  return out;
}

}  // namespace crosstate::pipeline
