// Pruning of a network: scoring, selection and removal of modes and channels.
#pragma once

#include <span>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/prune/options.h"
#include "crosstate/prune/select.h"

namespace crosstate::prune {

/// Scores, selects and removes modes and channels; `shares` are relative to `whole`, the size
/// before any pruning. The mean contribution of removed channels over the batches is added to
/// biases. Channels that lose modes get new outputs (PruneOptions::refit) or, with hankel and
/// complex modes, fewer new modes by balanced truncation; the state scales of a quantized network
/// and the running statistics of batch norms are then recalibrated on the batches. The batches are
/// from the training set; for taylor they should be small, since the score squares their means.
/// Throws Error without batches for taylor, and for hankel if states are rounded, and for networks
/// that overflow.
model::Network prune(const model::Network& network, const PruneOptions& options,
                     const PruneShares& shares, const NetworkSize& whole,
                     std::span<const data::Batch> batches, ThreadPool& pool);

/// One step of proximal descent on a group penalty: C of every mode shrinks by `strength` times the
/// H2 norm of the mode per unit of C, every column of the pointwise layers by `strength`; values
/// that would change their sign become 0. The penalty thereby removes whole modes and columns.
void shrink_groups(model::Network& network, double strength);

}  // namespace crosstate::prune
