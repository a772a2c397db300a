#include "crosstate/pipeline/run_report.h"

#include <cctype>
#include <cmath>

#include "crosstate/base/numbers.h"

namespace crosstate::pipeline {
namespace {

// Capitalised for the start of a sentence.
std::string titled(const task::TaskMetric& metric) {
  std::string title = metric.title;
  title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
  return title;
}

struct NamedStage {
  std::string name;
  const StageSummary* stage;
};

std::vector<NamedStage> stages_done(const RunSummary& summary) {
  std::vector<NamedStage> stages;
  for (const NamedStage& s :
       {NamedStage{"float", &summary.float_stage}, NamedStage{"pruned", &summary.pruned},
        NamedStage{"post-training quantization", &summary.ptq},
        NamedStage{"quantization-aware training", &summary.qat}}) {
    if (s.stage->done) stages.push_back(s);
  }
  return stages;
}

report::Plot learning_curves(const RunSummary& summary) {
  report::Plot plot;
  plot.title = "Learning curves";
  plot.x_label = "epoch";
  const task::TaskMetric& metric = summary.readout.task->primary();
  plot.y_label = metric.heading();
  plot.caption =
      titled(metric) + " on the training set during training, and on the validation set.";
  if (summary.qat.done) {
    plot.caption += " Quantization-aware training starts where post-training quantization ends.";
  }
  double before = 0;
  for (const auto& [name, stage] : stages_done(summary)) {
    if (stage->training.epochs.empty()) continue;
    const std::string label = stage == &summary.qat ? "QAT" : "float";
    report::Series training{label + ", training", {}, {}, {}};
    report::Series validation{label + ", validation", {}, {}, {}};
    for (const train::EpochLog& log : stage->training.epochs) {
      const double epoch = before + log.epoch;
      training.x.push_back(epoch);
      training.y.push_back(metric.in_report(log.train_metric));
      if (std::isnan(log.validation_metric)) continue;
      validation.x.push_back(epoch);
      validation.y.push_back(metric.in_report(log.validation_metric));
    }
    before += static_cast<double>(stage->training.epochs.size());
    plot.series.push_back(std::move(training));
    if (!validation.x.empty()) plot.series.push_back(std::move(validation));
  }
  return plot;
}

report::Plot stage_bars(const RunSummary& summary) {
  report::Plot plot;
  plot.kind = report::PlotKind::kBar;
  const task::TaskMetric& metric = summary.readout.task->primary();
  plot.title = titled(metric) + " of each stage";
  plot.y_label = "test " + metric.heading();
  plot.caption = "On the test set, which no stage uses.";
  if (summary.ptq.done && summary.qat.done) {
    plot.caption += " Post-training quantization reduces " + metric.title +
                    "; quantization-aware training recovers it.";
  }
  report::Series bars{"test " + metric.title, {}, {}, {}};
  const auto add = [&](const std::string& name, double value) {
    plot.categories.push_back(name);
    bars.x.push_back(static_cast<double>(bars.x.size()));
    bars.y.push_back(metric.in_report(value));
  };
  for (const auto& [name, stage] : stages_done(summary)) add(name, stage->metric);
  if (summary.crossbar.done) add("on the crossbar (mean)", summary.crossbar.chips.first().mean);
  plot.series.push_back(std::move(bars));
  return plot;
}

report::Plot noise_curves(const RunSummary& summary) {
  report::Plot plot;
  const task::TaskMetric& metric = summary.readout.task->primary();
  plot.title = titled(metric) + " against device noise";
  plot.x_label = "programming noise (% of the target conductance)";
  plot.y_label = metric.heading();
  plot.caption = "Simulated chips on the first " +
                 std::to_string(summary.crossbar.sweep_sequences) +
                 " test sequences: mean, with the standard deviation over chips as error bars. "
                 "Read noise grows in proportion to programming noise.";
  report::Series ptq{"post-training quantization", {}, {}, {}},
      qat{"quantization-aware training", {}, {}, {}};
  const auto add = [&](report::Series& series, double noise,
                       const simulate::SimulateSummary& chips) {
    series.x.push_back(100 * noise);
    series.y.push_back(metric.in_report(chips.first().mean));
    series.error.push_back(metric.in_report(chips.first().deviation));
  };
  for (const NoisePoint& point : summary.crossbar.sweep) {
    add(ptq, point.noise, point.ptq);
    add(qat, point.noise, point.qat);
  }
  plot.series = {std::move(ptq), std::move(qat)};
  return plot;
}

report::Table crossbar_table(const RunSummary& summary) {
  const simulate::SimulateSummary& chips = summary.crossbar.chips;
  report::Table table{"Crossbar", {"quantity", "value"}, {}};
  const task::TaskMetric& metric = summary.readout.task->primary();
  const std::string unit = metric.is_share ? " (%)" : "";
  table.rows = {{"chips", std::to_string(chips.first().metric.size())},
                {"mean " + metric.heading(), metric.cell(chips.first().mean)},
                {"deviation from chip to chip" + unit, metric.cell(chips.first().deviation)},
                {"worst chip" + unit, metric.cell(chips.first().worst)},
                {"arrays", std::to_string(chips.arrays)},
                {"pairs of cells in use (%)", fixed_text(100 * chips.utilisation, 1)},
                {"conversions per time step", std::to_string(chips.conversions_per_step)}};
  return table;
}

report::Table memory_table(const RunSummary& summary) {
  report::Table table{
      "Memory in bytes", {"stage", "weights", "biases", "scales", "tables", "state", "total"}, {}};
  for (const auto& [name, stage] : stages_done(summary)) {
    std::vector<std::string> row = {name};
    for (const cost::MemoryKind kind :
         {cost::MemoryKind::kWeights, cost::MemoryKind::kBiases, cost::MemoryKind::kScales,
          cost::MemoryKind::kTables, cost::MemoryKind::kState}) {
      row.push_back(std::to_string(stage->memory.bytes(kind)));
    }
    row.push_back(std::to_string(stage->memory.total()));
    table.rows.push_back(std::move(row));
  }
  return table;
}

report::Table site_table(const NamedStage& last) {
  report::Table table{"Sites after " + last.name, {"site", "kind", "values", "bits", "bytes"}, {}};
  for (const cost::MemorySite& site : last.stage->memory.sites) {
    table.rows.push_back({site.name, name_of(site.kind), std::to_string(site.values),
                          std::to_string(site.bits), std::to_string(site.bytes())});
  }
  return table;
}

}  // namespace

std::vector<report::Table> task_tables(const task::Readout& readout,
                                       const std::vector<double>& sums) {
  std::vector<report::Table> tables;
  if (sums.empty()) return tables;
  for (task::TaskTable& table : readout.task->tables(readout, sums)) {
    tables.push_back({std::move(table.title), std::move(table.header), std::move(table.rows)});
  }
  return tables;
}

report::Table summary_table(const RunSummary& summary) {
  const task::TaskMetric& metric = summary.readout.task->primary();
  report::Table table{"",
                      {"stage", "test " + metric.heading(), "95 % interval", "weight bits",
                       "state bits", "memory (bytes)", "best epoch", "seconds"},
                      {}};
  for (const auto& [name, stage] : stages_done(summary)) {
    const int best = stage->training.best_epoch;
    table.rows.push_back({name, metric.cell(stage->metric), interval_text(summary, stage->metric),
                          std::to_string(stage->weight_bits), std::to_string(stage->state_bits),
                          std::to_string(stage->memory.total()),
                          best > 0 ? std::to_string(best) : "-", fixed_text(stage->seconds, 1)});
  }
  if (summary.crossbar.done) {
    const CrossbarSummary& crossbar = summary.crossbar;
    table.rows.push_back(
        {"crossbar, " + std::to_string(crossbar.chips.first().metric.size()) + " chips",
         metric.cell(crossbar.chips.first().mean) + " ± " +
             metric.cell(crossbar.chips.first().deviation),
         "-", std::to_string(summary.qat.weight_bits), std::to_string(summary.qat.state_bits), "-",
         "-", fixed_text(crossbar.seconds, 1)});
  }
  return table;
}

report::Report run_report(const RunSummary& summary) {
  report::Report report;
  report.title = summary.crossbar.done ? "Crosstate: from float network to crossbar"
                                       : "Crosstate: training and quantization";
  report.subtitle = std::to_string(summary.parameters) + " parameters, " +
                    fixed_text(summary.seconds, 0) + " s on " + std::to_string(summary.threads) +
                    (summary.threads == 1 ? " thread" : " threads");
  report.paragraphs.push_back(
      "A diagonal state-space network (S4D) reads every sample as a sequence, one time step at a "
      "time, and stores the past in its states. It is trained in float, quantized to integers with "
      "ranges chosen from training data, and trained further with every rounding in the loop, "
      "including that of the state at each step. If the configuration below sets weight_noise, "
      "this training also adds noise to the weights, as cells do.");
  std::string sets = "Data: ";
  for (const std::string& set : summary.data) sets += (&set == &summary.data[0] ? "" : "; ") + set;
  report.paragraphs.push_back(sets + ".");
  report.tables = {summary_table(summary), memory_table(summary)};
  report.tables[0].title = "Stages";
  const NamedStage last = stages_done(summary).back();
  for (report::Table& table : task_tables(summary.readout, last.stage->sums)) {
    report.tables.push_back(std::move(table));
  }
  report.plots = {learning_curves(summary), stage_bars(summary)};
  if (summary.crossbar.done) {
    report.paragraphs.push_back(
        "On a crossbar, pairs of memristive cells represent signed weights; they are programmed "
        "and read with noise, and drivers and converters have few bits. With the recurrence mapped "
        "as an increment, cells hold A - 1, which is small for long memory, so that noise relative "
        "to a cell hardly moves a pole. The digitised states are the next inputs of the array: the "
        "converter applies the same rounding as training.");
    report.tables.push_back(crossbar_table(summary));
    if (!summary.crossbar.sweep.empty()) report.plots.push_back(noise_curves(summary));
  }
  report.tables.push_back(site_table(last));
  report.details = {
      {"configuration", summary.config}, {"machine", summary.machine}, {"seed", summary.seed}};
  return report;
}

}  // namespace crosstate::pipeline
