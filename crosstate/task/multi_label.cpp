// Multi-label classification: a sigmoid and binary cross-entropy for each class. A target is 0 or 1
// for every class; a class is predicted if its output is above 0.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/task/columns.h"
#include "crosstate/task/task.h"

namespace crosstate::task {

const Task& multi_label();

namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : 1 - 1 / (1 + std::exp(z)); }

// log sigmoid(z), finite for every finite z.
double log_sigmoid(double z) { return std::min(z, 0.0) - std::log1p(std::exp(-std::abs(z))); }

bool told(float output) { return output > 0; }
bool truth(float target) { return target > 0.5f; }

// Sums over sequences for each class, followed by kExact and kCount.
enum Sum { kTrue, kFalse, kMissed, kRejected, kSums };

struct Counts {
  double hits = 0, wrong = 0, missed = 0, rejected = 0;

  double share(double of, double all) const { return all > 0 ? of / all : kNan; }
  double precision() const { return share(hits, hits + wrong); }
  double recall() const { return share(hits, hits + missed); }
  /// NaN for a class that is neither a target nor predicted.
  double f1() const { return share(2 * hits, 2 * hits + wrong + missed); }
};

Counts counts_of(std::span<const double> sums, std::size_t k) {
  const double* of = sums.data() + k * kSums;
  return {of[kTrue], of[kFalse], of[kMissed], of[kRejected]};
}

class MultiLabel : public Task {
 public:
  const char* name() const override { return "multi-label"; }
  bool categorical() const override { return true; }
  std::size_t width(std::size_t outputs) const override { return outputs; }

  Readout read(const TargetTable& table, std::vector<float>& targets) const override {
    const Readout readout = readout_of_columns(*this, table);
    targets.clear();
    for (std::size_t i = 0; i < table.cells.size(); ++i) {
      const ReadNumber<float> read = read_number<float>(table.cells[i]);
      if (!read.value || (*read.value != 0 && *read.value != 1)) {
        fail(table.where[i / table.width],
             "target \"" + excerpt(table.cells[i], 40) + "\", expected 0 or 1 for every class");
      }
      targets.push_back(*read.value);
    }
    return readout;
  }

  std::string wrong(const Readout&, std::span<const float> target) const override {
    for (const float value : target) {
      if (value != 0 && value != 1) return "target " + rounded_text(value, 6) + ", expected 0 or 1";
    }
    return "";
  }

  std::string unusable(const Readout& readout, std::span<const float> targets) const override {
    if (!same_in_all_rows(targets, readout.outputs())) return "";
    return std::string("every training ") + readout.unit() +
           " has the same classes, expected at least two different sets";
  }

  std::string lacking(const Readout& readout, std::span<const float> targets) const override {
    const std::vector<double> positives = positives_of(readout, targets);
    std::string names;
    for (std::size_t k = 0; k < positives.size(); ++k) {
      if (positives[k] > 0) continue;
      names += (names.empty() ? "\"" : ", \"") + excerpt(readout.names[k]) + '"';
    }
    return names.empty() ? "" : std::string("no training ") + readout.unit() + " of class " + names;
  }

  /// By set of classes.
  std::vector<std::int32_t> strata(const Readout& readout,
                                   std::span<const float> targets) const override {
    const std::size_t width = readout.outputs();
    std::map<std::vector<float>, std::int32_t> known;
    std::vector<std::int32_t> strata;
    for (std::size_t i = 0; i < targets.size(); i += width) {
      const auto row = targets.subspan(i, width);
      const auto number = static_cast<std::int32_t>(known.size());
      strata.push_back(
          known.try_emplace(std::vector<float>(row.begin(), row.end()), number).first->second);
    }
    return strata;
  }

  /// Mean over the classes of weight (1 - w) BCE(target, smoothed) + w T^2 KL(teacher || output),
  /// the distributions of the second term at temperature T; w = 0 without a teacher. Offsets as in
  /// classification.
  double loss(const Readout&, std::span<const float> outputs, std::span<const float> target,
              const TaskLoss& options, std::span<double> slope) const override {
    const double w = options.teacher.empty() ? 0 : options.distillation;
    const double t = options.temperature, share = 1 / static_cast<double>(outputs.size());
    double sum = 0;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const double z = outputs[k];
      double part = (1 - w) * share;
      if (!options.weights.empty()) part *= options.weights[2 * k + (truth(target[k]) ? 1 : 0)];
      const double wanted = target[k] * (1 - options.label_smoothing) + options.label_smoothing / 2;
      const double shifted = options.offsets.empty() ? z : z - options.offsets[k];
      sum -= part * (wanted * log_sigmoid(shifted) + (1 - wanted) * log_sigmoid(-shifted));
      if (!slope.empty()) slope[k] = part * (sigmoid(shifted) - wanted);
      if (w == 0) continue;
      const double teacher = options.teacher[k] / t, p = sigmoid(teacher);
      sum += w * share * t * t *
             (p * (log_sigmoid(teacher) - log_sigmoid(z / t)) +
              (1 - p) * (log_sigmoid(-teacher) - log_sigmoid(-z / t)));
      if (!slope.empty()) slope[k] += w * share * t * (sigmoid(z / t) - p);
    }
    return sum;
  }

  /// Alternating: weights of the absence and of the presence of every class.
  std::vector<double> balanced_weights(const Readout& readout,
                                       std::span<const float> targets) const override {
    const std::vector<double> positives = positives_of(readout, targets);
    const auto count = static_cast<double>(targets.size() / readout.outputs());
    std::vector<double> weights;
    for (const double present : positives) {
      const bool both = present > 0 && present < count;
      weights.push_back(both ? count / (2 * (count - present)) : 1);
      weights.push_back(both ? count / (2 * present) : 1);
    }
    return weights;
  }

  const std::vector<TaskMetric>& metrics() const override {
    static const std::vector<TaskMetric> all = {{"macro_f1", "macro F1", true, true},
                                                {"exact_match", "exact match", true, true},
                                                {"hamming_loss", "Hamming loss", false, true}};
    return all;
  }

  std::size_t sums(const Readout& readout) const override { return kSums * readout.outputs() + 2; }
  void add(const Readout& readout, const Output& output, std::span<const float> target,
           std::span<double> sums) const override {
    bool exact = true;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const bool is = truth(target[k]), said = told(output.values[k]);
      ++sums[k * kSums + (said ? (is ? kTrue : kFalse) : (is ? kMissed : kRejected))];
      exact = exact && is == said;
    }
    sums[kSums * readout.outputs()] += exact ? 1 : 0;
    ++sums[kSums * readout.outputs() + 1];
  }
  std::vector<double> evaluate(const Readout& readout,
                               std::span<const double> sums) const override {
    double f1 = 0, classes = 0, mistakes = 0;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Counts counts = counts_of(sums, k);
      mistakes += counts.wrong + counts.missed;
      if (std::isnan(counts.f1())) continue;
      f1 += counts.f1();
      ++classes;
    }
    const double exact = sums[kSums * readout.outputs()];
    const double count = sums[kSums * readout.outputs() + 1];
    return {classes > 0 ? f1 / classes : 0, exact / count,
            mistakes / (count * static_cast<double>(readout.outputs()))};
  }

  const TaskMetric* share_of_right(const Readout& readout) const override {
    return readout.every_step() ? nullptr : &metrics()[1];
  }

  json to_json(const Readout& readout, std::span<const double> sums) const override {
    json out = Task::to_json(readout, sums);
    if (!readout.every_step()) {
      const double* const exact = sums.data() + kSums * readout.outputs();
      const Interval interval = wilson(exact[0], exact[1]);
      out["exact_match_interval"] = {interval.low, interval.high};
    }
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Counts counts = counts_of(sums, k);
      out["classes"][readout.names[k]] = {
          {"precision", counts.precision()}, {"recall", counts.recall()}, {"f1", counts.f1()}};
    }
    return out;
  }

  std::vector<TaskTable> tables(const Readout& readout,
                                std::span<const double> sums) const override {
    TaskTable table{
        "Classes",
        {"class", readout.unit() + std::string("s"), "precision (%)", "recall (%)", "F1 (%)"},
        {}};
    const TaskMetric& share = primary();
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Counts counts = counts_of(sums, k);
      table.rows.push_back({readout.names[k], fixed_text(counts.hits + counts.missed, 0),
                            share.cell(counts.precision()), share.cell(counts.recall()),
                            share.cell(counts.f1())});
    }
    return {std::move(table)};
  }

  std::vector<std::string> prediction_header(const Readout& readout) const override {
    std::vector<std::string> header;
    for (const std::string& name : readout.names) {
      header.push_back(name);
      header.push_back("predicted " + name);
      header.push_back("probability of " + name);
    }
    return header;
  }
  std::vector<std::string> prediction(const Readout& readout, const Output& output,
                                      std::span<const float> target) const override {
    std::vector<std::string> fields;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      fields.emplace_back(!counts(target) ? "" : truth(target[k]) ? "1" : "0");
      fields.push_back(told(output.values[k]) ? "1" : "0");
      const double p = sigmoid(output.values[k]);
      fields.push_back(std::isnan(p) ? "nan" : fixed_text(p, 6));
    }
    return fields;
  }
  /// The predicted classes, separated by ;, then the outputs.
  std::vector<std::string> answer(const Readout& readout, const Output& output) const override {
    std::string names;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      if (told(output.values[k])) names += (names.empty() ? "" : ";") + readout.names[k];
    }
    std::vector<std::string> fields = {std::move(names)};
    for (const float z : output.values) fields.push_back(rounded_text(static_cast<double>(z), 9));
    return fields;
  }

 private:
  static std::vector<double> positives_of(const Readout& readout, std::span<const float> targets) {
    std::vector<double> positives(readout.outputs(), 0);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      positives[i % positives.size()] += truth(targets[i]) ? 1 : 0;
    }
    return positives;
  }
};

}  // namespace

const Task& multi_label() {
  static const MultiLabel task;
  return task;
}

}  // namespace crosstate::task
