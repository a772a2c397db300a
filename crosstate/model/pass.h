// Runs one batch through a network: forward, loss and adjoint, in groups of 16 sequences.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network_state.h"

namespace crosstate::model {

/// Statistics of the values at one site.
struct Observer {
  float low = 0, high = 0;  // smallest and largest value, or 0
  double squares = 0, count = 0;
  std::vector<double> row_sums;   // [rows]
  std::vector<double> histogram;  // kObserverBins equal bins over [low, high]; empty: not requested
  /// Mean of a row; all rows have the same number of values.
  double mean(std::size_t row) const {
    return row_sums[row] * static_cast<double>(row_sums.size()) / count;
  }
  double peak() const { return std::max(-low, high); }
  Observer& operator|=(const Observer& other);
};
inline constexpr std::size_t kObserverBins = 4096;

/// Observers of the values at every quantized site; for states only the largest magnitudes.
struct Observers {
  Observer input, residual;
  Observer output;  // output of the last block, which is pooled
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

/// Stores the mean gradients of the batch in the parameters and, with batch norm, updates the
/// running statistics.
BatchResult train_batch(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                        const LossOptions& loss, ThreadPool& pool);

/// See Network::training_bytes().
double training_bytes(const Network::State& state, std::size_t count, std::size_t length);

/// Moves the running statistics of batch norms by `momentum` towards those of the batch, as
/// train_batch() does, but without dropout, gradients and the loss.
void measure_norms(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                   double momentum, ThreadPool& pool);

/// Throws Error naming the sites whose values are not finite.
void require_finite(const Observers& observers);

/// Observers of one forward pass over the batches; with histograms, of a second one. Throws Error
/// as require_finite().
Observers measure_observers(const Network::State& state, const Coefficients& coefficients,
                            std::span<const data::Batch> batches, ThreadPool& pool,
                            bool histograms = false);

}  // namespace crosstate::model
