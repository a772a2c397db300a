// Loss and metrics of a network on a set.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"

namespace crosstate::train {

/// Of the sequences seen so far.
struct Tally {
  task::Readout readout;
  double loss_sum = 0;
  std::vector<double> sums;  // see Task::sums()
  std::size_t count = 0;

  void add(const model::BatchResult& result, std::size_t sequences);
  /// The mean.
  double loss() const { return loss_sum / static_cast<double>(count); }
  /// The primary one.
  double metric() const { return task::primary_value(readout, sums); }
};

/// Throws Error for a set with other channels or outputs than the network has.
void check_fits(const model::Network& network, const data::Dataset& set);

/// The whole set, `batch` sequences at a time. Nothing if `stop`, asked before every batch, said
/// so.
std::optional<Tally> evaluate_set(const model::Network& network, const data::Dataset& set,
                                  int batch, ThreadPool& pool, const std::function<bool()>& stop);

/// The same as a result to report: throws Error for a set that is empty or does not fit, and when
/// the loss is not finite.
std::optional<Tally> evaluate_result(const model::Network& network, const data::Dataset& set,
                                     int batch, ThreadPool& pool,
                                     const std::function<bool()>& stop);

/// The primary metric of the network on a set, and the mean loss if not null; never stopped. Throws
/// Error like evaluate_result().
double evaluate_metric(const model::Network& network, const data::Dataset& set, int batch,
                       ThreadPool& pool, double* loss = nullptr);

}  // namespace crosstate::train
