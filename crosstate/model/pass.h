// One batch through a network: forward, loss and adjoint, in groups of 16 sequences.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network_state.h"

namespace crosstate {

/// How the values of one site are spread.
struct Spread {
  float low = 0, high = 0;  // least and largest value, or 0
  double squares = 0, count = 0;
  std::vector<double> row_sums;   // [rows]
  std::vector<double> histogram;  // of kSpreadBins equal bins over [low, high]; empty: not wanted
  /// Mean of a row; rows have as many values.
  double mean(std::size_t row) const {
    return row_sums[row] * static_cast<double>(row_sums.size()) / count;
  }
  double peak() const { return std::max(-low, high); }
  Spread& operator|=(const Spread& other);
};
inline constexpr std::size_t kSpreadBins = 4096;

/// The spread of the values at every rounded site; for states the largest magnitudes alone.
struct Spreads {
  Spread input, residual;
  Spread output;  // of the last block: what is pooled
  struct Block {
    Spread ssm_output, activation, linear;
    std::vector<float> state;  // [N]
  };
  std::vector<Block> blocks;
  explicit Spreads(const Network::State& state);
  Spreads& operator|=(const Spreads& other);
};

BatchResult forward_batch(const Network::State& state, const Coefficients& coefficients,
                          const Batch& batch, ThreadPool& pool, std::vector<float>* logits);

/// Leaves the batch's mean gradients in the parameters and, with batch norm, moves the running
/// statistics.
BatchResult train_batch(Network::State& state, Coefficients& coefficients, const Batch& batch,
                        const LossOptions& loss, ThreadPool& pool);

/// Moves the running statistics of batch norms by `momentum` towards those of the batch, as
/// train_batch() does but without dropout, gradients and the loss.
void measure_norms(Network::State& state, Coefficients& coefficients, const Batch& batch,
                   double momentum, ThreadPool& pool);

/// Of one forward pass over the batches; with histograms, of a second one.
Spreads measure_spreads(const Network::State& state, const Coefficients& coefficients,
                        std::span<const Batch> batches, ThreadPool& pool, bool histograms = false);

}  // namespace crosstate
