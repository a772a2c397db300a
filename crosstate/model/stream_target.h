// Distillation of hidden values: draws the residual stream after every block towards that of a
// teacher.
#pragma once

#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/group_pass.h"
#include "crosstate/model/network.h"

namespace crosstate::model {

/// The residual streams of a teacher on one batch. The loss of a group of sequences is the mean
/// over blocks l, channels and the steps of its sequences of (h - h_teacher)^2 / v[l], where v[l]
/// is the mean square of h_teacher over the batch (hints of intermediate layers, A. Romero et al.,
/// arXiv 1412.6550, without a regressor: both networks have the same channels).
class StreamTarget {
 public:
  StreamTarget(const Network& teacher, const data::Batch& batch, ThreadPool& pool);

  /// Adds the gradient of `weight` times the loss of the group of `m` to `gradient`, the gradient
  /// of the stream after block l (panels as in GroupMemory::h). Returns the contribution of that
  /// block to the loss, times `weight`.
  double pull(std::size_t l, const GroupMemory& m, double weight, AlignedFloats& gradient) const;

 private:
  const data::Batch& batch_;
  std::size_t channels_;
  std::vector<std::vector<AlignedFloats>> streams_;  // [group][layer]
  std::vector<double> mean_square_;                  // [layer]
};

}  // namespace crosstate::model
