#include "crosstate/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/data/batch.h"

namespace crosstate::train {
namespace {

void check_batches(const data::Dataset& set, int batch) {
  if (set.count == 0) fail(set.name, "no sequences to evaluate");
  if (batch < 1) fail(set.name, "batch size " + std::to_string(batch) + ", expected at least 1");
}

}  // namespace

void check_fits(const model::Network& network, const data::Dataset& set) {
  const model::TaskShape& task = network.task();
  if (set.channels != static_cast<std::size_t>(task.inputs)) {
    fail(set.name, std::to_string(set.channels) + " channels, but the network has " +
                       std::to_string(task.inputs) + " inputs");
  }
  if (set.readout.outputs() != static_cast<std::size_t>(task.outputs)) {
    fail(set.name, std::to_string(set.readout.outputs()) +
                       (set.readout.task->categorical() ? " classes" : " target values") +
                       ", but the network has " + std::to_string(task.outputs) + " outputs");
  }
  if (set.readout.scope != network.options().readout) {
    fail(set.name, std::string("a target of every ") + set.readout.unit() +
                       ", but the network's model.readout is \"" +
                       name_of(network.options().readout) + '"');
  }
}

void Tally::add(const model::BatchResult& result, std::size_t sequences) {
  loss_sum += result.loss * static_cast<double>(result.count);
  sums.resize(result.sums.size(), 0);
  for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += result.sums[k];
  count += sequences;
  targets += result.count;
}

std::optional<Tally> evaluate_set(const model::Network& network, const data::Dataset& set,
                                  int batch_size, ThreadPool& pool,
                                  const std::function<bool()>& stop) {
  check_batches(set, batch_size);
  const std::vector<std::uint32_t> order = data::length_order(set);
  const auto size = static_cast<std::size_t>(batch_size);
  const auto block_length = static_cast<std::size_t>(network.options().block_length);
  data::Batch batch;
  Tally tally;
  tally.readout = set.readout;
  for (std::size_t begin = 0; begin < set.count; begin += size) {
    if (stop && stop()) return std::nullopt;
    const std::size_t count = std::min(size, set.count - begin);
    data::fill_batch(set, std::span(order).subspan(begin, count), block_length, batch);
    tally.add(network.evaluate(batch, pool), batch.count);
  }
  return tally;
}

std::optional<Tally> evaluate_result(const model::Network& network, const data::Dataset& set,
                                     int batch, ThreadPool& pool,
                                     const std::function<bool()>& stop) {
  check_batches(set, batch);
  check_fits(network, set);
  set.require_any_target();
  const std::optional<Tally> tally = evaluate_set(network, set, batch, pool, stop);
  if (tally && !std::isfinite(tally->loss())) {
    fail(set.name, "the loss of the network is " + exact_text(tally->loss()) +
                       ", expected a finite number: values of the network overflow");
  }
  return tally;
}

double evaluate_metric(const model::Network& network, const data::Dataset& set, int batch,
                       ThreadPool& pool, double* loss) {
  const Tally tally = *evaluate_result(network, set, batch, pool, nullptr);
  if (loss != nullptr) *loss = tally.loss();
  return tally.metric();
}

}  // namespace crosstate::train
