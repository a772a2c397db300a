// One batch through a network: forward, loss and adjoint, in groups of 16 sequences.
#pragma once

#include <span>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network_state.h"

namespace crosstate {

/// How large the values of one site are.
struct Spread {
  float peak = 0;  // largest magnitude
  double squares = 0, count = 0;
  Spread& operator|=(const Spread& other);
};

/// The spread of the values at every rounded site; for states the largest magnitudes alone.
struct Peaks {
  Spread input, residual;
  struct Block {
    Spread ssm_output, activation, linear;
    std::vector<float> state;  // [H * M]
  };
  std::vector<Block> blocks;
  explicit Peaks(const Network::State& state);
  Peaks& operator|=(const Peaks& other);
};

BatchResult forward_batch(const Network::State& state, const Coefficients& coefficients,
                          const Batch& batch, ThreadPool& pool, std::vector<float>* logits);

/// Leaves the batch's mean gradients in the parameters and, with batch norm, moves the running
/// statistics.
BatchResult train_batch(Network::State& state, Coefficients& coefficients, const Batch& batch,
                        const LossOptions& loss, ThreadPool& pool);

Peaks measure_peaks(const Network::State& state, const Coefficients& coefficients,
                    std::span<const Batch> batches, ThreadPool& pool);

}  // namespace crosstate
