// One batch through a network: forward, loss and adjoint, in groups of 16 sequences.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network_state.h"

namespace crosstate::model {

/// How the values of one site are observer.
struct Observer {
  float low = 0, high = 0;  // least and largest value, or 0
  double squares = 0, count = 0;
  std::vector<double> row_sums;   // [rows]
  std::vector<double> histogram;  // of kObserverBins equal bins over [low, high]; empty: not wanted
  /// Mean of a row; rows have as many values.
  double mean(std::size_t row) const {
    return row_sums[row] * static_cast<double>(row_sums.size()) / count;
  }
  double peak() const { return std::max(-low, high); }
  Observer& operator|=(const Observer& other);
};
inline constexpr std::size_t kObserverBins = 4096;

/// The observer of the values at every rounded site; for states the largest magnitudes alone.
struct Observers {
  Observer input, residual;
  Observer output;  // of the last block: what is pooled
  struct Block {
    Observer ssm_output, activation, linear;
    std::vector<float> state;  // [N]
  };
  std::vector<Block> blocks;
  explicit Observers(const Network::State& state);
  Observers& operator|=(const Observers& other);
};

BatchResult forward_batch(const Network::State& state, const Coefficients& coefficients,
                          const data::Batch& batch, ThreadPool& pool, std::vector<float>* logits);

/// Leaves the batch's mean gradients in the parameters and, with batch norm, moves the running
/// statistics.
BatchResult train_batch(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                        const LossOptions& loss, ThreadPool& pool);

/// Moves the running statistics of batch norms by `momentum` towards those of the batch, as
/// train_batch() does but without dropout, gradients and the loss.
void measure_norms(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                   double momentum, ThreadPool& pool);

/// Of one forward pass over the batches; with histograms, of a second one.
Observers measure_observers(const Network::State& state, const Coefficients& coefficients,
                            std::span<const data::Batch> batches, ThreadPool& pool,
                            bool histograms = false);

}  // namespace crosstate::model
