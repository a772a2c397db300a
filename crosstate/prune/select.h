// Selection of the modes and channels to keep.
#pragma once

#include "crosstate/model/parts.h"
#include "crosstate/prune/options.h"
#include "crosstate/prune/scores.h"

namespace crosstate::prune {

/// The size of a network.
struct NetworkSize {
  std::size_t states = 0;    // real numbers: a complex mode has two states
  std::size_t stream = 0;    // channels of the residual stream
  std::size_t channels = 0;  // in the recurrences of all blocks
  std::size_t parameters = 0;
};
NetworkSize size_of(const model::Network& network);

/// Removes the parts with the lowest scores until at most 1 - share of `whole` (the network before
/// any pruning) remains: channels first, then modes of the remaining channels. Scores are compared
/// as shares_of_rest() within their block, so that one threshold applies to all blocks. Of equal
/// scores above 0 in a block, those of the first parts stay, since shares fall with position; of
/// equal channels of the stream the last ones stay. Every block keeps at least one mode, the stream
/// one channel. `scope`: PruneOptions::scope.
model::NetworkParts select_parts(const model::Network& network, const PartScores& scores,
                                 const PruneShares& shares, PruneScope scope,
                                 const NetworkSize& whole);

}  // namespace crosstate::prune
