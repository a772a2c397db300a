// Loss and accuracy of a network on a set.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"

namespace crosstate {

/// Means over the sequences seen so far.
struct Tally {
  double loss_sum = 0;
  std::size_t correct = 0, count = 0;

  void add(const BatchResult& result, std::size_t sequences) {
    loss_sum += result.loss * static_cast<double>(sequences);
    correct += result.correct;
    count += sequences;
  }
  double loss() const { return loss_sum / static_cast<double>(count); }
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(count); }
};

/// Throws Error for a set with other channels or classes than the network has inputs and outputs.
void check_fits(const Network& network, const Dataset& set);

/// The whole set, `batch` sequences at a time. Nothing if `stop`, asked before every batch, said
/// so.
std::optional<Tally> evaluate_set(const Network& network, const Dataset& set, int batch,
                                  ThreadPool& pool, const std::function<bool()>& stop);

/// The same as a result to report: throws Error for a set that is empty or does not fit, and when
/// the loss is not finite.
std::optional<Tally> evaluate_result(const Network& network, const Dataset& set, int batch,
                                     ThreadPool& pool, const std::function<bool()>& stop);

/// The share of the set that the network classifies correctly, and the mean loss if not null; never
/// stopped. Throws Error like evaluate_result().
double evaluate_accuracy(const Network& network, const Dataset& set, int batch, ThreadPool& pool,
                         double* loss = nullptr);

}  // namespace crosstate
