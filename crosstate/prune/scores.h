// Importance scores of the modes and channels of a network.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network_state.h"
#include "crosstate/prune/options.h"

namespace crosstate::prune {

/// Squares or energies, non-negative; larger is more important. Comparable only within one list.
struct PartScores {
  struct Block {
    std::vector<double> modes;     // [N]
    std::vector<double> channels;  // [S]
  };
  std::vector<Block> blocks;
  std::vector<double> stream;  // [H]
};

/// Scores by PruneOptions::score. Those of weights are of the values that the network computes
/// with, which are quantized if it is; poles are damped() (mode_scores.h), so that every score is
/// finite:
/// - magnitude: |c|^2 of modes, B being part of c;
/// - last, energy: h_infinity_score() and energy_score();
/// - hankel: the squared singular values of each channel, the largest for its mode of most energy;
/// - taylor: the sum over the batches of (dL/dg)^2 at g = 1, where g scales C of a mode, a column
///   of the pointwise layer, or a channel of the residual stream at the input of every block and of
///   the decoder (Molchanov et al., arXiv 1906.10771): the first-order change of the loss. g scales
///   the trained values before they are rounded; the slopes are the straight-through gradients of a
///   training step, with the statistics of the batch in batch norms, and with dropout and noise, if
///   the network has them, from the draws of seed 0 with the number of the batch as the step.
///   Scores are therefore the same on every call.
/// The score of a channel of a block is the sum of its modes and D^2, times the squared norm of its
/// column; that of a channel of the stream is the sum of its shares in every block and in the
/// decoder. Throws Error for taylor without batches, and for scores that are not finite because
/// values of the network overflow.
PartScores score_parts(const model::Network& network, Score score,
                       std::span<const data::Batch> batches, ThreadPool& pool);

/// The modes of one channel with the weights that the network computes with.
std::vector<model::DiscreteMode> rounded_modes(const model::BlockCoefficients& block,
                                               const model::BlockShape& shape, std::size_t s);

}  // namespace crosstate::prune
