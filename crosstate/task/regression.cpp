// Regression of real values: squared error of targets normalised to mean 0 and standard deviation
// 1.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/task/columns.h"
#include "crosstate/task/task.h"

namespace crosstate::task {
namespace {

using nlohmann::json;

// As many digits as tell every binary32 apart.
std::string number(double value) { return rounded_text(value, 9); }

double offset_of(const Readout& r, std::size_t k) { return r.offset.empty() ? 0 : r.offset[k]; }
double scale_of(const Readout& r, std::size_t k) { return r.scale.empty() ? 1 : r.scale[k]; }

// Normalises a target, and converts an output to a value.
double normalised(const Readout& r, std::size_t k, float target) {
  return (static_cast<double>(target) - offset_of(r, k)) / scale_of(r, k);
}
double value_of(const Readout& r, std::size_t k, float output) {
  return offset_of(r, k) + scale_of(r, k) * static_cast<double>(output);
}

// Sums over sequences for each output, in normalised units.
enum Sum { kCount, kTarget, kTargetSquares, kErrorSquares, kErrorSizes, kSums };

struct Measures {
  double r2 = 0, mse = 0, mae = 0;  // mse and mae in the unit of the target
};

Measures measures_of(const Readout& r, std::size_t k, std::span<const double> sums) {
  const double* of = sums.data() + k * kSums;
  const double n = of[kCount], scale = scale_of(r, k);
  const double variation = of[kTargetSquares] - of[kTarget] * of[kTarget] / n;
  Measures m;
  if (variation > 0) {
    m.r2 = 1 - of[kErrorSquares] / variation;
  } else {
    m.r2 = of[kErrorSquares] > 0 ? 0 : 1;  // without variance there is nothing to explain
  }
  m.mse = scale * scale * of[kErrorSquares] / n;
  m.mae = std::abs(scale) * of[kErrorSizes] / n;
  return m;
}

class Regression : public Task {
 public:
  const char* name() const override { return "regression"; }
  bool categorical() const override { return false; }
  std::size_t width(std::size_t outputs) const override { return outputs; }

  Readout read(const TargetTable& table, std::vector<float>& targets) const override {
    const Readout readout = readout_of_columns(*this, table);
    targets.clear();
    for (std::size_t i = 0; i < table.cells.size(); ++i) {
      const ReadNumber<float> read = read_number<float>(table.cells[i]);
      if (!read.value || !std::isfinite(*read.value)) {
        fail(table.where[i / table.width], "target \"" + excerpt(table.cells[i], 40) + "\" " +
                                               std::string(read.wrong) + ", expected a number");
      }
      targets.push_back(*read.value);
    }
    return readout;
  }

  std::string wrong(const Readout&, std::span<const float> target) const override {
    for (const float value : target) {
      if (!std::isfinite(value)) {
        return "target " + std::to_string(value) + ", expected a finite number";
      }
    }
    return "";
  }

  void fit(Readout& readout, std::span<const float> targets) const override {
    const std::size_t width = readout.outputs();
    const auto count = static_cast<double>(targets.size() / width);
    readout.offset.assign(width, 0);
    readout.scale.assign(width, 0);
    for (std::size_t i = 0; i < targets.size(); ++i) readout.offset[i % width] += targets[i];
    for (double& mean : readout.offset) mean /= count;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const double d = targets[i] - readout.offset[i % width];
      readout.scale[i % width] += d * d;
    }
    for (double& scale : readout.scale) scale = scale > 0 ? std::sqrt(scale / count) : 1;
  }

  std::string unusable(const Readout& readout, std::span<const float> targets) const override {
    if (!same_in_all_rows(targets, readout.outputs())) return "";
    return std::string("every training ") + readout.unit() +
           " has the same target, expected at least two different ones";
  }

  /// Tenths of the set by the first value, or fewer parts of at least twenty sequences each.
  std::vector<std::int32_t> strata(const Readout& readout,
                                   std::span<const float> targets) const override {
    const std::size_t width = readout.outputs(), count = targets.size() / width;
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return targets[a * width] < targets[b * width];
    });
    const std::size_t parts = std::clamp<std::size_t>(count / 20, 1, 10);
    std::vector<std::int32_t> strata(count);
    for (std::size_t rank = 0; rank < count; ++rank) {
      strata[order[rank]] = static_cast<std::int32_t>(rank * parts / count);
    }
    return strata;
  }

  /// Mean over the outputs of (1 - w) (output - target)^2 + w (output - teacher)^2, with normalised
  /// targets; w = 0 without a teacher.
  double loss(const Readout& readout, std::span<const float> outputs, std::span<const float> target,
              const TaskLoss& options, std::span<double> slope) const override {
    const double w = options.teacher.empty() ? 0 : options.distillation;
    const double share = 1 / static_cast<double>(outputs.size());
    double sum = 0;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const double error = outputs[k] - normalised(readout, k, target[k]);
      const double apart = w > 0 ? static_cast<double>(outputs[k] - options.teacher[k]) : 0;
      sum += share * ((1 - w) * error * error + w * apart * apart);
      if (!slope.empty()) slope[k] = 2 * share * ((1 - w) * error + w * apart);
    }
    return sum;
  }

  const std::vector<TaskMetric>& metrics() const override {
    static const std::vector<TaskMetric> all = {
        {"r2", "R2", true, false}, {"rmse", "RMSE", false, false}, {"mae", "MAE", false, false}};
    return all;
  }

  std::size_t sums(const Readout& readout) const override { return kSums * readout.outputs(); }
  void add(const Readout& readout, const Output& output, std::span<const float> target,
           std::span<double> sums) const override {
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const double wanted = normalised(readout, k, target[k]), error = output.values[k] - wanted;
      double* of = sums.data() + k * kSums;
      ++of[kCount];
      of[kTarget] += wanted;
      of[kTargetSquares] += wanted * wanted;
      of[kErrorSquares] += error * error;
      of[kErrorSizes] += std::abs(error);
    }
  }
  /// Means over the outputs; RMSE is the root of the mean.
  std::vector<double> evaluate(const Readout& readout,
                               std::span<const double> sums) const override {
    double r2 = 0, mse = 0, mae = 0;
    const auto outputs = static_cast<double>(readout.outputs());
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Measures m = measures_of(readout, k, sums);
      r2 += m.r2 / outputs;
      mse += m.mse / outputs;
      mae += m.mae / outputs;
    }
    return {r2, std::sqrt(mse), mae};
  }

  json to_json(const Readout& readout, std::span<const double> sums) const override {
    json out = Task::to_json(readout, sums);
    if (readout.outputs() < 2) return out;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Measures m = measures_of(readout, k, sums);
      out["outputs"][readout.names[k]] = {{"r2", m.r2}, {"rmse", std::sqrt(m.mse)}, {"mae", m.mae}};
    }
    return out;
  }

  std::vector<TaskTable> tables(const Readout& readout,
                                std::span<const double> sums) const override {
    TaskTable table{"Values", {"value", "R2", "RMSE", "MAE"}, {}};
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      const Measures m = measures_of(readout, k, sums);
      const TaskMetric& plain = primary();
      table.rows.push_back(
          {readout.names[k], plain.cell(m.r2), plain.cell(std::sqrt(m.mse)), plain.cell(m.mae)});
    }
    return {std::move(table)};
  }

  std::vector<std::string> prediction_header(const Readout& readout) const override {
    std::vector<std::string> header;
    for (const std::string& name : readout.names) {
      header.push_back(name);
      header.push_back("predicted " + name);
    }
    return header;
  }
  std::vector<std::string> prediction(const Readout& readout, const Output& output,
                                      std::span<const float> target) const override {
    std::vector<std::string> fields;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      fields.push_back(counts(target) ? number(static_cast<double>(target[k])) : "");
      fields.push_back(number(value_of(readout, k, output.values[k])));
    }
    return fields;
  }
  std::vector<std::string> answer(const Readout& readout, const Output& output) const override {
    std::vector<std::string> fields;
    for (std::size_t k = 0; k < readout.outputs(); ++k) {
      fields.push_back(number(value_of(readout, k, output.values[k])));
    }
    return fields;
  }
};

}  // namespace

const Task& regression() {
  static const Regression task;
  return task;
}

}  // namespace crosstate::task
