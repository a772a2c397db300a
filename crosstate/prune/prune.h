// Pruning of a network: scoring, selection and removal of modes and channels.
#pragma once

#include <span>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/prune/options.h"
#include "crosstate/prune/select.h"

namespace crosstate::prune {

/// Scores, selects and removes modes and channels; `shares` are relative to `whole`, the size
/// before all pruning. The mean contribution of removed channels over the batches is added to
/// biases. Channels that lose modes get new outputs (PruneOptions::refit) or, with hankel and
/// complex modes, fewer new modes by balanced truncation; the state scales of a quantized network
/// and the running statistics of batch norms are then recalibrated on the batches. Batches of the
/// training set: for taylor of few sequences each, since it squares their means.
model::Network prune(const model::Network& network, const PruneOptions& options,
                     const PruneShares& shares, const NetworkSize& whole,
                     std::span<const data::Batch> batches, ThreadPool& pool);

/// One step of proximal descent on a group penalty: every mode's C shrinks by `strength` times the
/// H2 norm that it has per unit of C, every column of the pointwise layers by `strength`; what
/// would become negative stops at 0. Modes and columns are the gates that the penalty closes.
void shrink_groups(model::Network& network, double strength);

}  // namespace crosstate::prune
