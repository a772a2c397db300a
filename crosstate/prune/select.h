// Selection of the modes and channels to keep.
#pragma once

#include "crosstate/model/parts.h"
#include "crosstate/prune/options.h"
#include "crosstate/prune/scores.h"

namespace crosstate::prune {

/// The size of a network.
struct NetworkSize {
  std::size_t states = 0;    // real numbers: a complex mode has two
  std::size_t stream = 0;    // channels of the residual stream
  std::size_t channels = 0;  // of all blocks' recurrences
  std::size_t parameters = 0;
};
NetworkSize size_of(const model::Network& network);

/// Drops the parts with the lowest scores until at most 1 - share of `whole`, the network before
/// all pruning, remains: channels first, then modes of the remaining channels. Scores count as
/// shares_of_rest() within their block, so that one threshold serves all blocks. Every block keeps
/// a mode, the stream a channel. `scope`: PruneOptions::scope.
model::NetworkParts select_parts(const model::Network& network, const PartScores& scores,
                                 const PruneShares& shares, PruneScope scope,
                                 const NetworkSize& whole);

}  // namespace crosstate::prune
