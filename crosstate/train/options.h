// Options of a training stage: duration, learning rates, regularisation and validation.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/task/task.h"

namespace crosstate::train {

/// Weights of the classes in the loss: equal, or in inverse proportion to their training sequences.
enum class ClassWeights { kNone, kBalanced };
constexpr auto enum_names(ClassWeights) {
  return std::array{Named{"none", ClassWeights::kNone}, Named{"balanced", ClassWeights::kBalanced}};
}

struct TrainOptions {
  int epochs = 20;
  int batch = 64;
  double learning_rate = 0.01;     // weights, biases and norms
  double recurrence_rate = 0.001;  // log_dt, a and w
  double range_rate = 0.001;       // ranges of the quantizers
  double weight_decay = 0.01;
  double warmup = 1;      // epochs, at most half of them
  double final_rate = 0;  // share of the peak rates at the end of the cosine
  double clip = 1;        // gradient norm; 0: off
  double average = 0;     // decay per step of a moving average of the weights; 0: none
  int norm_batches = 0;   // from which running statistics are recomputed after each epoch; 0: none
  double label_smoothing = 0;
  ClassWeights class_weights = ClassWeights::kNone;
  std::string class_offsets;  // subtracted from outputs in the loss: "unknown=2"; empty: none
  double validation = 0.1;    // share of the training set that is held out
  int patience = 0;           // epochs without improvement before stopping; 0: never
  int log_every = 10;         // batches between two progress reports
};

/// Binds the fields as section `section`: "train" for the float stage, "qat" for the quantized
/// stage.
void fields(FieldList& list, const std::string& section, TrainOptions& options);
/// Throws Error for a value out of range; `section` as above.
void validate(const TrainOptions& options, const std::string& section = "train");
/// Throws Error for a setting that does not apply to the targets of the data; `section` as above.
void require_effect(const TrainOptions& options, const task::Readout& readout,
                    const std::string& section = "train");
/// The offset of every class in the loss, 0 for classes that class_offsets does not name; empty
/// without any. Throws Error for a name that is no class; `section` as above.
std::vector<double> class_offsets(const TrainOptions& options,
                                  const std::vector<std::string>& classes,
                                  const std::string& section = "train");

}  // namespace crosstate::train
