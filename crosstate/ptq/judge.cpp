#include "crosstate/ptq/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/task/task.h"

namespace crosstate::ptq {
namespace {

constexpr std::size_t kParts = 50;

std::vector<double> plus(std::vector<double> a, const std::vector<double>& b, double sign) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += sign * b[i];
  return a;
}

std::vector<double> total(const std::vector<std::vector<double>>& parts) {
  std::vector<double> sum(parts.front().size(), 0);
  for (const std::vector<double>& part : parts) sum = plus(std::move(sum), part, 1);
  return sum;
}

}  // namespace

bool Verdict::meets(double points) const {
  return (resolution <= points ? certain_loss() : loss) <= points;
}

Judge::Judge(const inference::Model& model, const data::Dataset& set, ThreadPool& pool, Check check)
    : name_(model.name()), set_(set), pool_(pool), check_(std::move(check)) {
  set.require_any_target();
  wanted_ = predict(model, inference::ModelBackend::kFloat);
  sums_ = sums_of(wanted_);
  metric_ = task::primary_value(set.readout, total(sums_));
}

inference::Predictions Judge::predict(const inference::Model& model,
                                      inference::ModelBackend backend) const {
  const auto stop = [this] {
    check_with(check_);
    return false;
  };
  return *model.predict(set_, backend, pool_, stop);
}

std::vector<std::vector<double>> Judge::sums_of(const inference::Predictions& predictions) const {
  const task::Task& task = *set_.readout.task;
  const std::size_t parts = std::min(kParts, set_.count);
  std::vector<std::vector<double>> sums(parts, std::vector<double>(task.sums(set_.readout), 0));
  for (std::size_t i = 0; i < set_.count; ++i) {
    for (std::size_t k = 0; k < set_.targets_of(i); ++k) {
      const std::span<const float> target = set_.target(i, k);
      if (!task::counts(target)) continue;
      task.add(set_.readout, predictions.of(i, k), target, sums[i % parts]);
    }
  }
  return sums;
}

double Judge::points(double metric) const {
  const task::TaskMetric& primary = set_.readout.task->primary();
  return (primary.higher_is_better ? 1 : -1) * primary.in_report(metric);
}

Verdict Judge::judge(const model::Network& rounded) const {
  Verdict verdict;
  std::optional<inference::Model> integers;
  try {
    integers = inference::Model(rounded, std::nullopt, name_).to_integers();
  } catch (const Error& error) {
    verdict.metric = std::numeric_limits<double>::quiet_NaN();
    verdict.loss = verdict.error = std::numeric_limits<double>::infinity();
    verdict.not_integer = error.what();
    return verdict;
  }
  const inference::Predictions found = predict(*integers, inference::ModelBackend::kInteger);
  const std::vector<std::vector<double>> sums = sums_of(found);
  const std::vector<double> all = total(sums), wanted = total(sums_);
  const auto metric = [&](const std::vector<double>& of) {
    return task::primary_value(set_.readout, of);
  };
  verdict.metric = metric(all);
  verdict.loss = points(metric_) - points(verdict.metric);

  std::vector<double> without;
  double mean = 0;
  for (std::size_t p = 0; p < sums.size(); ++p) {
    without.push_back(points(metric(plus(wanted, sums_[p], -1))) -
                      points(metric(plus(all, sums[p], -1))));
    mean += without.back() / static_cast<double>(sums.size());
  }
  double squares = 0;
  for (const double loss : without) squares += (loss - mean) * (loss - mean);
  const auto parts = static_cast<double>(sums.size());
  verdict.deviation = parts > 1 ? std::sqrt(squares * (parts - 1) / parts) : 0;
  // Networks that agree on every sequence of a set may differ on others.
  if (set_.readout.task->primary().is_share) {
    verdict.resolution = 100 / static_cast<double>(set_.count);
    verdict.deviation = std::max(verdict.deviation, verdict.resolution);
  }

  const std::size_t outputs = found.outputs;
  const bool categorical = set_.readout.task->categorical();
  std::vector<double> sum(outputs, 0), square(outputs, 0);
  double difference = 0;
  for (std::size_t row = 0; row < found.count(); ++row) {
    const auto centred = [&](const inference::Predictions& p) {
      const std::span<const float> values = std::span(p.values).subspan(row * outputs, outputs);
      double centre = 0;
      if (categorical) {
        for (const float v : values)
          centre += static_cast<double>(v) / static_cast<double>(outputs);
      }
      std::vector<double> out;
      for (const float v : values) out.push_back(static_cast<double>(v) - centre);
      return out;
    };
    const std::vector<double> a = centred(found), b = centred(wanted_);
    for (std::size_t k = 0; k < outputs; ++k) {
      difference += (a[k] - b[k]) * (a[k] - b[k]);
      sum[k] += b[k];
      square[k] += b[k] * b[k];
    }
  }
  double variance = 0;
  const auto count = static_cast<double>(found.count());
  for (std::size_t k = 0; k < outputs; ++k) variance += square[k] - sum[k] * sum[k] / count;
  verdict.error = difference / std::max(variance, 1e-30);
  return verdict;
}

data::Dataset spread(const data::Dataset& set, std::size_t count) {
  if (count >= set.count) return set;
  std::vector<std::uint32_t> rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows.push_back(static_cast<std::uint32_t>(i * set.count / count));
  }
  return data::select(set, rows, set.name);
}

}  // namespace crosstate::ptq
