// Loss and metrics of a network on a data set.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"

namespace crosstate::train {

/// Sums over the sequences seen so far.
struct Tally {
  task::Readout readout;
  double loss_sum = 0;
  std::vector<double> sums;  // see Task::sums()
  std::size_t count = 0;     // sequences
  std::size_t targets = 0;   // number of targets that count

  void add(const model::BatchResult& result, std::size_t sequences);
  /// Mean over the targets.
  double loss() const { return loss_sum / static_cast<double>(targets); }
  /// Primary metric.
  double metric() const { return task::primary_value(readout, sums); }
};

/// Throws Error unless the set has the network's numbers of channels and outputs, and targets for
/// its model.readout.
void check_fits(const model::Network& network, const data::Dataset& set);

/// Evaluates the whole set, `batch` sequences at a time. Returns nothing if `stop`, called before
/// every batch, returned true. Throws Error for an empty set and for a batch below 1.
std::optional<Tally> evaluate_set(const model::Network& network, const data::Dataset& set,
                                  int batch, ThreadPool& pool, const std::function<bool()>& stop);

/// The same for reported results: throws Error, too, if the set does not fit or has no target, and
/// if the loss is not finite.
std::optional<Tally> evaluate_result(const model::Network& network, const data::Dataset& set,
                                     int batch, ThreadPool& pool,
                                     const std::function<bool()>& stop);

/// Primary metric of the network on a set; also stores the mean loss if the pointer is not null.
/// Never stopped. Throws Error like evaluate_result().
double evaluate_metric(const model::Network& network, const data::Dataset& set, int batch,
                       ThreadPool& pool, double* loss = nullptr);

}  // namespace crosstate::train
