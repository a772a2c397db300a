#include "crosstate/search/design_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/formats/csv.h"
#include "crosstate/report/machine.h"
#include "crosstate/search/genome.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

std::string digits(double value) { return rounded_text(value, 4); }

std::string size_of(const Design& design) {
  return std::to_string(design.target.crossbar.rows) + 'x' +
         std::to_string(design.target.crossbar.columns);
}

std::string digital_of(const Design& design) {
  std::string sites = design.target.crossbar.digital;
  std::replace(sites.begin(), sites.end(), ',', ' ');
  return sites;
}

// The settings of its chips, as other commands take them.
std::string settings_of(const DesignPoint& point) {
  std::string settings;
  for (const std::string& set : words_of(point.settings)) {
    if (set.starts_with("crossbar.")) settings += (settings.empty() ? "" : " ") + set;
  }
  return settings;
}

bool has_residue(const DesignSummary& summary) {
  return std::any_of(summary.designs.begin(), summary.designs.end(), [](const DesignPoint& point) {
    return point.design.residue_bits.has_value();
  });
}

std::string csv_of(const DesignSummary& summary) {
  const task::TaskMetric& metric = summary.task->primary();
  const bool residue = has_residue(summary);
  std::string csv = "digital,rows,columns,adc_bits,converter,slices,packing,";
  if (residue) csv += "residue_bits,";
  for (const char* cost : {"energy_nj", "area_mm2", "latency_us"}) {
    for (const char* end : {"", "_low", "_high"}) csv += std::string(cost) + end + ',';
  }
  csv += "arrays,utilisation," + metric.name + ',' + metric.name + "_deviation," + metric.name +
         "_worst,settings\n";
  for (const std::size_t i : summary.front) {
    const Design& design = summary.designs[i].design;
    const DesignMeasures& measured = summary.designs[i].measures;
    const crossbar::CrossbarOptions& crossbar = design.target.crossbar;
    csv += formats::csv_field(digital_of(design));
    for (const int number : {crossbar.rows, crossbar.columns, crossbar.adc_bits}) {
      csv += ',' + std::to_string(number);
    }
    csv += ',' + name_of(design.estimate.converter) + ',' + std::to_string(crossbar.slices) + ',' +
           name_of(crossbar.packing);
    if (residue) csv += ',' + std::to_string(design.residue_bits.value_or(0));
    for (const cost::Range& cost : {measured.energy, measured.area, measured.latency}) {
      for (const double value : {cost.typical, cost.low, cost.high}) csv += ',' + exact_text(value);
    }
    csv += ',' + std::to_string(measured.arrays);
    for (const double value : {measured.utilisation, measured.mean(), measured.deviation(),
                               measured.worst(metric.higher_is_better)}) {
      csv += ',' + exact_text(value);
    }
    csv += ',' + formats::csv_field(settings_of(summary.designs[i])) + '\n';
  }
  return csv;
}

// The metric against one cost: all designs, and of the front those that no other beats in these two
// alone, from left to right.
report::Plot plot_of(const DesignSummary& summary, const std::string& name,
                     const std::string& label, cost::Range DesignMeasures::*cost) {
  const task::TaskMetric& metric = summary.task->primary();
  report::Plot plot;
  plot.title = metric.title + " against " + name;
  plot.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(plot.title[0])));
  plot.x_label = label + ", typical";
  plot.y_label = metric.heading();
  plot.log_x = true;
  plot.caption =
      "Means over chips with standard deviations as error bars; lines join the designs that no "
      "other beats in these two alone, for every type of converter.";
  std::vector<std::pair<std::string, std::vector<const DesignPoint*>>> types;
  for (const std::size_t i : summary.front) {
    const DesignPoint& point = summary.designs[i];
    const std::string type = "converters: " + name_of(point.design.estimate.converter);
    auto found = std::find_if(types.begin(), types.end(),
                              [&](const auto& known) { return known.first == type; });
    if (found == types.end()) found = types.insert(found, {type, {}});
    found->second.push_back(&point);
  }
  std::sort(types.begin(), types.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [type, points] : types) {
    const auto x_of = [&](const DesignPoint* point) { return (point->measures.*cost).typical; };
    std::stable_sort(points.begin(), points.end(), [&](const auto* a, const auto* b) {
      const double first = a->measures.mean(), second = b->measures.mean();
      return x_of(a) != x_of(b) ? x_of(a) < x_of(b) : metric.better(first, second);
    });
    report::Series series{type, {}, {}, {}};
    double best = std::nan("");
    for (const DesignPoint* point : points) {
      const double mean = point->measures.mean();
      if (!std::isnan(best) && !metric.better(mean, best)) continue;
      best = mean;
      series.x.push_back(x_of(point));
      series.y.push_back(metric.in_report(mean));
      series.error.push_back(metric.in_report(point->measures.deviation()));
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

std::string counts_of(const DesignSummary& summary) {
  return std::to_string(summary.designs.size()) + " designs: " + std::to_string(summary.simulated) +
         " simulated, " + std::to_string(summary.unfit) + " do not fit, " +
         std::to_string(summary.over_budget) + " over budget";
}

}  // namespace

report::Table design_table(const DesignSummary& summary) {
  const task::TaskMetric& metric = summary.task->primary();
  const bool residue = has_residue(summary);
  report::Table table{"Front (" + counts_of(summary) + ")",
                      {"digital", "array", "ADC bits", "converter", "cells", "packing"},
                      {}};
  if (residue) table.header.push_back("residue bits");
  for (const char* cost : {"energy (nJ)", "area (mm2)", "arrays"}) table.header.push_back(cost);
  table.header.push_back(metric.heading());
  for (const std::size_t i : summary.front) {
    const Design& design = summary.designs[i].design;
    const DesignMeasures& measured = summary.designs[i].measures;
    const crossbar::CrossbarOptions& crossbar = design.target.crossbar;
    const std::string digital = digital_of(design);
    std::vector<std::string>& row = table.rows.emplace_back(std::vector<std::string>{
        digital.empty() ? "-" : digital, size_of(design), std::to_string(crossbar.adc_bits),
        name_of(design.estimate.converter), std::to_string(crossbar.slices),
        name_of(crossbar.packing)});
    if (residue) row.push_back(std::to_string(design.residue_bits.value_or(0)));
    row.push_back(digits(measured.energy.typical));
    row.push_back(digits(measured.area.typical));
    row.push_back(std::to_string(measured.arrays));
    row.push_back(metric.cell(measured.mean()) + " ± " + metric.cell(measured.deviation()));
  }
  return table;
}

report::Table unfit_table(const DesignSummary& summary) {
  report::Table table{"Designs that do not fit", {"designs", "why"}, {}};
  for (const auto& [why, count] : summary.reasons) {
    table.rows.push_back({std::to_string(count), why});
  }
  return table;
}

json to_json(const DesignSummary& summary) {
  json designs = json::array();
  std::vector<bool> on_front(summary.designs.size());
  for (const std::size_t i : summary.front) on_front[i] = true;
  const task::TaskMetric& metric = summary.task->primary();
  for (std::size_t i = 0; i < summary.designs.size(); ++i) {
    const DesignPoint& point = summary.designs[i];
    const DesignMeasures& measured = point.measures;
    const crossbar::CrossbarOptions& crossbar = point.design.target.crossbar;
    json row = {{"settings", settings_of(point)},
                {"digital", digital_of(point.design)},
                {"rows", crossbar.rows},
                {"columns", crossbar.columns},
                {"adc_bits", crossbar.adc_bits},
                {"converter", name_of(point.design.estimate.converter)},
                {"slices", crossbar.slices},
                {"packing", name_of(crossbar.packing)},
                {"front", static_cast<bool>(on_front[i])}};
    if (point.design.residue_bits) row["residue_bits"] = *point.design.residue_bits;
    if (!measured.unfit.empty()) {
      row["unfit"] = measured.unfit;
    } else {
      row["energy_nj"] = cost::to_json(measured.energy);
      row["area_mm2"] = cost::to_json(measured.area);
      row["latency_us"] = cost::to_json(measured.latency);
      row["arrays"] = measured.arrays;
      row["utilisation"] = measured.utilisation;
    }
    if (!measured.metric.empty()) {
      row[metric.name] = measured.mean();
      row[metric.name + "_deviation"] = measured.deviation();
      row[metric.name + "_by_chip"] = measured.metric;
    }
    designs.push_back(std::move(row));
  }
  return {{"designs", std::move(designs)},   {"simulated", summary.simulated},
          {"unfit", summary.unfit},          {"over_budget", summary.over_budget},
          {"sequences", summary.sequences},  {"steps", summary.steps},
          {"technology", summary.technology}};
}

void write_design_results(const DesignSummary& summary, const std::filesystem::path& directory) {
  report::Report report;
  report.title = "Search for the design of a chip";
  report.subtitle = counts_of(summary);
  report.paragraphs = {
      "NSGA-II (Deb et al., 2002) chooses which sites are on arrays, the arrays, their converters "
      "and the cells of a weight, for the energy of an inference of " +
          std::to_string(summary.steps) + " steps, the area (technology " + summary.technology +
          ", typical values), and the mean " + summary.task->primary().title +
          " of simulated chips on " + std::to_string(summary.sequences) + " held-out sequences.",
      "The front has the designs that no other beats in all three. They were chosen by these "
      "sequences and chips, so that their figures tend to be too good: test them on others, with "
      "the settings of design-front.csv."};
  report.plots = {
      plot_of(summary, "energy", "energy of an inference (nJ)", &DesignMeasures::energy),
      plot_of(summary, "area", "area (mm2)", &DesignMeasures::area)};
  report.tables.push_back(design_table(summary));
  report::Table unfit = unfit_table(summary);
  if (!unfit.rows.empty()) report.tables.push_back(std::move(unfit));
  report.details = {{"machine", report::machine_summary()}};
  write_file(directory / "design-front.csv", csv_of(summary));
  write_file(directory / "report.html", report::to_html(report));
}

}  // namespace crosstate::search
