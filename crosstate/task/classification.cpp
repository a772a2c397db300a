// Classification: softmax and cross-entropy. A target is the index of the class.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/task/task.h"

namespace crosstate::task {
namespace {

using nlohmann::json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// log sum exp(z / T).
double log_total(std::span<const float> logits, double temperature) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float z : logits) total += std::exp((z - top) / temperature);
  return std::log(total) + top / temperature;
}

// w T^2 KL; its gradient, w T (student - teacher), is added to the slope.
double distillation(std::span<const float> logits, const TaskLoss& options,
                    std::span<double> slope) {
  const double t = options.temperature;
  const double student_total = log_total(logits, t), teacher_total = log_total(options.teacher, t);
  double divergence = 0;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const double log_student = logits[k] / t - student_total;
    const double log_teacher = options.teacher[k] / t - teacher_total;
    const double wanted = std::exp(log_teacher);
    divergence += wanted * (log_teacher - log_student);
    if (!slope.empty()) slope[k] += options.distillation * t * (std::exp(log_student) - wanted);
  }
  return options.distillation * t * t * divergence;
}

// Empty without offsets.
std::vector<float> minus_offsets(std::span<const float> logits, std::span<const double> offsets) {
  std::vector<float> shifted;
  for (std::size_t k = 0; k < offsets.size(); ++k) {
    shifted.push_back(static_cast<float>(logits[k] - offsets[k]));
  }
  return shifted;
}

std::size_t label_of(std::span<const float> target) { return static_cast<std::size_t>(target[0]); }

// The integer in a cell, in any notation ("3", "3.0", ...).
std::optional<long long> whole_number(const std::string& cell) {
  const ReadNumber<double> read = read_number<double>(cell);
  if (!read.value || std::abs(*read.value) > 1e15 || *read.value != std::trunc(*read.value)) {
    return std::nullopt;
  }
  return static_cast<long long>(*read.value);
}

// Counts of a confusion matrix, [label][decision].
class Confusion {
 public:
  Confusion(std::size_t classes, std::span<const double> counts)
      : classes_(classes), counts_(counts) {}

  double at(std::size_t label, std::size_t decision) const {
    return counts_[label * classes_ + decision];
  }
  double of(std::size_t label) const {
    double sum = 0;
    for (std::size_t k = 0; k < classes_; ++k) sum += at(label, k);
    return sum;
  }
  double decided(std::size_t decision) const {
    double sum = 0;
    for (std::size_t k = 0; k < classes_; ++k) sum += at(k, decision);
    return sum;
  }
  double correct() const {
    double sum = 0;
    for (std::size_t k = 0; k < classes_; ++k) sum += at(k, k);
    return sum;
  }
  double count() const {
    double sum = 0;
    for (const double n : counts_) sum += n;
    return sum;
  }
  /// NaN for a class without sequences.
  double recall(std::size_t k) const { return of(k) > 0 ? at(k, k) / of(k) : kNan; }
  /// NaN for a class that is neither a label nor a decision.
  double f1(std::size_t k) const {
    const double total = of(k) + decided(k);
    return total > 0 ? 2 * at(k, k) / total : kNan;
  }

 private:
  std::size_t classes_;
  std::span<const double> counts_;
};

class Classification : public Task {
 public:
  const char* name() const override { return "classification"; }
  bool categorical() const override { return true; }
  std::size_t width(std::size_t) const override { return 1; }
  /// -1 also marks a step without a target.
  bool not_counted(std::string_view cell) const override {
    return Task::not_counted(cell) || whole_number(std::string(cell)) == -1;
  }

  Readout read(const TargetTable& table, std::vector<float>& targets) const override {
    if (table.width != 1) {
      fail(table.where.empty() ? "data.targets" : table.where.front(),
           std::to_string(table.width) + " target columns, expected 1 (the class)");
    }
    // Numbers are sorted numerically, as other tools order classes; names alphabetically.
    std::vector<std::string> cells = table.cells;
    std::set<long long> numbers;
    for (std::string& cell : cells) {
      cell = without_blanks(cell);
      const std::optional<long long> whole = whole_number(cell);
      if (!whole) {
        numbers.clear();
        break;
      }
      numbers.insert(*whole);
    }
    Readout readout;
    if (numbers.empty()) {
      cells = table.cells;
      const std::set<std::string> names(cells.begin(), cells.end());
      readout.names.assign(names.begin(), names.end());
    } else {
      for (const long long n : numbers) readout.names.push_back(std::to_string(n));
      for (std::string& cell : cells) cell = std::to_string(*whole_number(cell));
    }
    targets.clear();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].empty()) fail(table.where[i], "no class, expected a name or a number");
      const auto at = std::find(readout.names.begin(), readout.names.end(), cells[i]);
      targets.push_back(static_cast<float>(at - readout.names.begin()));
    }
    return readout;
  }

  std::string wrong(const Readout& readout, std::span<const float> target) const override {
    const float label = target[0];
    if (label >= 0 && label < static_cast<float>(readout.outputs()) && label == std::trunc(label)) {
      return "";
    }
    return "label " + rounded_text(label, 6) + ", but the set has " +
           std::to_string(readout.outputs()) + " classes, numbered from 0";
  }

  std::string unusable(const Readout& readout, std::span<const float> targets) const override {
    const std::vector<std::size_t> counts = counts_of(readout, targets);
    const auto present = std::count_if(counts.begin(), counts.end(), [](auto n) { return n > 0; });
    return present < 2 ? std::string("every training ") + readout.unit() +
                             " is of one class, expected at least two"
                       : "";
  }

  std::string lacking(const Readout& readout, std::span<const float> targets) const override {
    constexpr std::size_t kNamed = 8;
    const std::vector<std::size_t> counts = counts_of(readout, targets);
    std::size_t absent = 0;
    std::string names;
    for (std::size_t k = 0; k < counts.size(); ++k) {
      if (counts[k] > 0) continue;
      if (absent <= kNamed) {
        names += (absent == 0 ? "" : ", ") +
                 (absent < kNamed ? '"' + excerpt(readout.names[k]) + '"' : "...");
      }
      ++absent;
    }
    if (absent == 0) return "";
    return std::string("no training ") + readout.unit() + " of " +
           (absent == 1 ? "class " : std::to_string(absent) + " classes: ") + names;
  }

  std::vector<std::int32_t> strata(const Readout&, std::span<const float> targets) const override {
    std::vector<std::int32_t> labels;
    for (const float label : targets) labels.push_back(static_cast<std::int32_t>(label));
    return labels;
  }

  /// weight (1 - w) cross-entropy(label, smoothed) + w T^2 KL(teacher || logits), both
  /// distributions of the second term at temperature T (Hinton et al., arXiv 1503.02531); w = 0
  /// without a teacher. The first term is that of the logits minus the offsets, the second that of
  /// the logits: a teacher trained with the same offsets contains them.
  double loss(const Readout&, std::span<const float> logits, std::span<const float> target,
              const TaskLoss& options, std::span<double> slope) const override {
    const std::size_t label = label_of(target);
    const std::vector<float> shifted = minus_offsets(logits, options.offsets);
    const std::span<const float> z = shifted.empty() ? logits : shifted;
    const double total = log_total(z, 1);
    const double off = options.label_smoothing / static_cast<double>(logits.size());
    double share = options.teacher.empty() ? 1 : 1 - options.distillation;
    if (!options.weights.empty()) share *= options.weights[label];
    double entropy = 0;
    for (std::size_t k = 0; k < logits.size(); ++k) {
      const double wanted = off + (k == label ? 1 - options.label_smoothing : 0);
      entropy -= wanted * (z[k] - total);
      if (!slope.empty()) slope[k] = share * (std::exp(z[k] - total) - wanted);
    }
    if (options.teacher.empty()) return share * entropy;
    return share * entropy + distillation(logits, options, slope);
  }

  std::vector<double> balanced_weights(const Readout& readout,
                                       std::span<const float> targets) const override {
    const std::vector<std::size_t> counts = counts_of(readout, targets);
    const auto present = static_cast<double>(
        std::count_if(counts.begin(), counts.end(), [](auto n) { return n > 0; }));
    std::vector<double> weights(counts.size(), 1);
    for (std::size_t k = 0; k < counts.size(); ++k) {
      if (counts[k] == 0) continue;
      weights[k] = static_cast<double>(targets.size()) / (present * static_cast<double>(counts[k]));
    }
    return weights;
  }

  const std::vector<TaskMetric>& metrics() const override {
    static const std::vector<TaskMetric> all = {{"accuracy", "accuracy", true, true},
                                                {"macro_f1", "macro F1", true, true}};
    return all;
  }

  std::size_t sums(const Readout& readout) const override {
    return readout.outputs() * readout.outputs();
  }
  void add(const Readout& readout, const Output& output, std::span<const float> target,
           std::span<double> sums) const override {
    ++sums[label_of(target) * readout.outputs() + output.largest];
  }
  std::vector<double> evaluate(const Readout& readout,
                               std::span<const double> sums) const override {
    const Confusion confusion(readout.outputs(), sums);
    double f1 = 0, classes = 0;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      if (std::isnan(confusion.f1(k))) continue;
      f1 += confusion.f1(k);
      ++classes;
    }
    return {confusion.correct() / confusion.count(), f1 / classes};
  }

  const TaskMetric* share_of_right(const Readout& readout) const override {
    return readout.every_step() ? nullptr : &metrics()[0];
  }

  json to_json(const Readout& readout, std::span<const double> sums) const override {
    json out = Task::to_json(readout, sums);
    const Confusion confusion(readout.outputs(), sums);
    if (!readout.every_step()) {
      const Interval interval = wilson(confusion.correct(), confusion.count());
      out["accuracy_interval"] = {interval.low, interval.high};
    }
    out["correct"] = static_cast<std::size_t>(confusion.correct());
    json recall = json::object(), matrix = json::array();
    for (std::size_t label = 0; label < readout.outputs(); ++label) {
      recall[readout.names[label]] = confusion.recall(label);
      json row = json::array();
      for (std::size_t k = 0; k < readout.outputs(); ++k) {
        row.push_back(static_cast<std::size_t>(confusion.at(label, k)));
      }
      matrix.push_back(std::move(row));
    }
    out["recall"] = std::move(recall);
    out["confusion"] = std::move(matrix);
    return out;
  }

  std::string text(const Readout& readout, std::span<const double> sums) const override {
    const Confusion confusion(readout.outputs(), sums);
    std::string line = "accuracy " + primary().text(evaluate(readout, sums).front()) + " (" +
                       fixed_text(confusion.correct(), 0) + " of " +
                       fixed_text(confusion.count(), 0);
    if (!readout.every_step()) {
      line += "; 95 % interval " + wilson(confusion.correct(), confusion.count()).text() + " %";
    }
    return line + ')';
  }

  std::vector<TaskTable> tables(const Readout& readout,
                                std::span<const double> sums) const override {
    const Confusion confusion(readout.outputs(), sums);
    const std::string units = readout.unit() + std::string("s");
    TaskTable matrix{
        "Confusion matrix: " + units + " by class (row) and decision (column)", {"class"}, {}};
    TaskTable classes{"Classes", {"class", units, "recall (%)", "F1 (%)"}, {}};
    const TaskMetric& share = primary();
    for (std::size_t label = 0; label < readout.outputs(); ++label) {
      const std::string& name = readout.names[label];
      matrix.header.push_back(name);
      std::vector<std::string>& row = matrix.rows.emplace_back(std::vector<std::string>{name});
      for (std::size_t k = 0; k < readout.outputs(); ++k) {
        row.push_back(fixed_text(confusion.at(label, k), 0));
      }
      classes.rows.push_back({name, fixed_text(confusion.of(label), 0),
                              share.cell(confusion.recall(label)),
                              share.cell(confusion.f1(label))});
    }
    return {std::move(classes), std::move(matrix)};
  }

  std::vector<std::string> prediction_header(const Readout&) const override {
    return {"label", "prediction", "probability"};
  }
  std::vector<std::string> prediction(const Readout& readout, const Output& output,
                                      std::span<const float> target) const override {
    const double top = *std::max_element(output.values.begin(), output.values.end());
    double sum = 0;
    for (const float z : output.values) sum += std::exp(static_cast<double>(z) - top);
    return {counts(target) ? readout.names[label_of(target)] : "", readout.names[output.largest],
            std::isnan(sum) ? "nan" : fixed_text(1 / sum, 6)};
  }
  std::vector<std::string> answer(const Readout& readout, const Output& output) const override {
    std::vector<std::string> fields = {readout.names[output.largest]};
    for (const float z : output.values) fields.push_back(rounded_text(static_cast<double>(z), 9));
    return fields;
  }

 private:
  static std::vector<std::size_t> counts_of(const Readout& readout,
                                            std::span<const float> targets) {
    std::vector<std::size_t> counts(readout.outputs(), 0);
    for (const float label : targets) {
      const auto at = static_cast<std::size_t>(label);
      if (label >= 0 && at < counts.size()) ++counts[at];
    }
    return counts;
  }
};

}  // namespace

const Task& classification() {
  static const Classification task;
  return task;
}

}  // namespace crosstate::task
