// Loss of accuracy by quantization, measured on sequences that neither training nor calibration
// uses.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/inference/model.h"
#include "crosstate/model/network.h"
#include "crosstate/ptq/check.h"

namespace crosstate::ptq {

struct Verdict {
  double metric = 0;  // primary metric of the task
  double loss = 0;    // points of it that are lost against the float network: percentage points of
                      // a share, otherwise its own unit; below 0 where rounding gains
  double deviation = 0;  // standard error of the loss due to the choice of sequences
  double error = 0;  // mean squared difference from the outputs of the float network, relative to
                     // the variance of these; of classes after the mean of all is removed
  double resolution = 0;  // points that one sequence of the set is worth; 0 where the metric is no
                          // share
  // Why the network cannot be converted to integers, with its name; then it was not measured, and
  // loss and error are infinite.
  std::string not_integer = {};

  /// The loss including statistical uncertainty: plus one standard error.
  double certain_loss() const { return loss + deviation; }
  /// Whether the network loses at most `points`, by certain_loss(). If a single sequence has more
  /// weight than `points`, the loss alone decides.
  bool meets(double points) const;
};

/// Compares quantized networks with a float network on one set, by the integer executor. Losses are
/// differences between two networks on the same sequences, so their standard error, from a
/// jackknife over parts of the set, is far below that of either metric.
class Judge {
 public:
  /// The set must outlive the object. `check` is called before every batch of the set, here and in
  /// judge(). Throws Error for a set without any target.
  Judge(const inference::Model& model, const data::Dataset& set, ThreadPool& pool,
        Check check = {});

  double metric() const { return metric_; }  // of the float network
  std::size_t sequences() const { return set_.count; }
  Verdict judge(const model::Network& rounded) const;

 private:
  inference::Predictions predict(const inference::Model& model,
                                 inference::ModelBackend backend) const;
  // Sums of the task by part of the set.
  std::vector<std::vector<double>> sums_of(const inference::Predictions& predictions) const;
  double points(double metric) const;

  const std::string name_;  // of the float network, for messages about rounded ones
  const data::Dataset& set_;
  ThreadPool& pool_;
  Check check_;
  inference::Predictions wanted_;
  std::vector<std::vector<double>> sums_;
  double metric_ = 0;
};

/// `count` sequences spread evenly over a set; all if it has fewer.
data::Dataset spread(const data::Dataset& set, std::size_t count);

}  // namespace crosstate::ptq
