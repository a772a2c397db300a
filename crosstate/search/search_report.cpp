#include "crosstate/search/search_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"

namespace crosstate::search {
namespace {

// With every digit of a double.
std::string number(double value) {
  constexpr int kDigits = std::numeric_limits<double>::max_digits10;
  return std::isnan(value) ? "-" : rounded_text(value, kDigits);
}

std::string sensitivity_csv(const SearchSummary& summary) {
  std::string csv =
      "site,bits,loss,loss_of_reference," + task_of(summary.plan).primary().name + ",bytes\n";
  for (const SensitivityPoint& point : summary.sensitivity) {
    csv += point.site + ',' + std::to_string(point.bits) + ',' + number(point.measures.loss) + ',' +
           number(summary.reference.loss) + ',' + number(point.measures.metric) + ',' +
           fixed_text(point.measures.bytes, 0) + '\n';
  }
  return csv;
}

std::string proxy_front_csv(const SearchSummary& summary) {
  std::string csv;
  for (const std::string& site : summary.space.sites) csv += site + ',';
  csv += summary.space.prunes() ? "states_removed,channels_removed,loss,bytes\n" : "loss,bytes\n";
  for (const Individual& one : summary.front) {
    std::string genome = genes_text(summary.space, one.genes);
    std::replace(genome.begin(), genome.end(), ' ', ',');
    csv += genome + ',';
    csv += number(one.costs[0]) + ',' + fixed_text(one.costs[1], 0) + '\n';
  }
  return csv;
}

report::Plot sensitivity_plot(const SearchSummary& summary) {
  report::Plot plot;
  plot.title = "Sensitivity of each site";
  plot.x_label = "bits of the site, all others at " + std::to_string(summary.space.bits.back());
  plot.y_label = "held-out loss";
  plot.caption = "The reference network with one site requantized, without further training.";
  for (const std::string& site : summary.space.sites) {
    report::Series& series = plot.series.emplace_back(report::Series{site, {}, {}, {}});
    for (const SensitivityPoint& point : summary.sensitivity) {
      if (point.site != site) continue;
      series.x.push_back(point.bits);
      series.y.push_back(point.measures.loss);
    }
    series.x.push_back(summary.space.bits.back());
    series.y.push_back(summary.reference.loss);
  }
  return plot;
}

report::Plot proxy_plot(const SearchSummary& summary) {
  report::Plot plot;
  plot.title = "Front by the proxy";
  plot.x_label = "bytes";
  plot.y_label = "held-out loss";
  plot.caption =
      "Measurements of the proxy, by which the search compares candidates before training.";
  report::Series& series = plot.series.emplace_back(report::Series{"front", {}, {}, {}});
  for (const Individual& one : summary.front) {
    series.x.push_back(one.costs[1]);
    series.y.push_back(one.costs[0]);
  }
  return plot;
}

}  // namespace

report::Table sensitivity_table(const SearchSummary& summary) {
  report::Table table{"Held-out loss with one site at fewer bits", {"site"}, {}};
  const GenomeSpace& space = summary.space;
  for (const int bits : space.bits) table.header.push_back(std::to_string(bits) + " bits");
  for (const std::string& site : space.sites) {
    std::vector<std::string>& row = table.rows.emplace_back(std::vector<std::string>{site});
    for (const SensitivityPoint& point : summary.sensitivity) {
      if (point.site == site) row.push_back(fixed_text(point.measures.loss, 4));
    }
    row.push_back(fixed_text(summary.reference.loss, 4));
  }
  return table;
}

report::Table candidate_table(const SearchSummary& summary) {
  std::string sites = "bits of";
  for (const std::string& site : summary.space.sites) sites += ' ' + site;
  if (summary.space.prunes()) sites += ", pruned shares of states and channels";
  const task::TaskMetric& metric = task_of(summary.plan).primary();
  const std::string unit = metric.is_share ? " (%)" : " (" + metric.title + ')';
  report::Table table{"Quantization-aware training",
                      {sites, "bytes", "PTQ" + unit, "QAT" + unit, "integers" + unit},
                      {}};
  std::vector<std::size_t> done;
  const auto outcome_at = [&](std::size_t i) -> const Outcome& {
    return summary.results.outcomes[i];
  };
  for (std::size_t i = 0; i < summary.plan.points.size(); ++i) {
    if (outcome_at(i).status == PointStatus::kDone) done.push_back(i);
  }
  // Results without a size, as of damaged files, come last.
  const auto bytes = [&](std::size_t i) {
    const double value = outcome_at(i).metric("bytes");
    return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
  };
  std::stable_sort(done.begin(), done.end(),
                   [&](std::size_t a, std::size_t b) { return bytes(a) < bytes(b); });
  for (const std::size_t i : done) {
    const auto cell = [&](const std::string& stage) {
      return metric.cell(outcome_at(i).metric(stage + metric.name));
    };
    table.rows.push_back(
        {summary.plan.values_of(summary.plan.points[i], genome_keys(summary.space)),
         fixed_text(outcome_at(i).metric("bytes"), 0), cell("ptq_"), cell("qat_"),
         cell("integer_")});
  }
  return table;
}

void write_search_results(const SearchSummary& summary, const std::filesystem::path& directory) {
  write_file(directory / "sensitivity.csv", sensitivity_csv(summary));
  write_file(directory / "proxy-front.csv", proxy_front_csv(summary));
  report::Report report = write_results(summary.plan, summary.results, directory);
  report.paragraphs.insert(
      report.paragraphs.begin(),
      "A network of every size is trained with every site at the most bits. Size and the bits of "
      "each site are then chosen by NSGA-II (Deb et al., 2002) for the loss on held-out training "
      "sequences, without further training, and the number of bytes. Candidates along that front "
      "are trained with quantization, starting from the shared float network, which is pruned "
      "first if the candidate says so.");
  report.plots.push_back(proxy_plot(summary));
  report.plots.push_back(sensitivity_plot(summary));
  report.tables.push_back(sensitivity_table(summary));
  write_file(directory / "report.html", report::to_html(report));
}

}  // namespace crosstate::search
