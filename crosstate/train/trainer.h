// Trains a network on a set, keeps the best epoch, and continues where it was interrupted.
#pragma once

#include <vector>

#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"
#include "crosstate/train/context.h"
#include "crosstate/train/epoch_log.h"
#include "crosstate/train/evaluate.h"
#include "crosstate/train/options.h"

namespace crosstate::train {

struct TrainSummary {
  std::vector<EpochLog> epochs;       // with those before a resume
  int best_epoch = 0;                 // 0: none was completed
  double best_validation_metric = 0;  // NaN without a validation set
  double seconds = 0;                 // of all epochs
  double samples_per_second = 0;      // of training alone
  bool interrupted = false;
  bool stopped_early = false;  // by TrainOptions::patience
};

/// Trains and leaves the network at the epoch of the best primary metric on the validation set
/// (then the lowest validation loss), or at the last epoch if `validation` is empty. After every
/// epoch DIRECTORY/STAGE.checkpoint.safetensors and DIRECTORY/STAGE.jsonl are replaced; a run that
/// continues from there ends with the same bits as one that was never interrupted. Sequences of
/// different lengths are batched by training_order().
///
/// With TrainOptions::average the network that is validated, kept and left is the moving average,
/// running statistics of batch norms included. Those are the statistics of weights on the way,
/// though; where rounding to few bits makes the network of the averaged, or of the last, weights
/// another one, TrainOptions::norm_batches measures its own.
///
/// From one QuantStage to the next the network goes on as it is after the last step, with its
/// optimiser and one learning-rate schedule over all of them: the moments stay true to weights that
/// do not jump, and only the last stage has to end at the lowest rate. Ranges that change are
/// chosen from the calibration batches and lose their moments; the average starts anew, since it
/// would belong to neither format. The best epoch and patience are those of the last stage.
///
/// Throws Error when the loss or a gradient is no longer finite, when a checkpoint belongs to
/// another run, and for stages or a teacher that do not fit.
TrainSummary train(model::Network& network, const data::Dataset& training,
                   const data::Dataset& validation, const TrainOptions& options,
                   const TrainContext& context);

/// Throws Error where train() with these arguments would find a checkpoint of another run, for
/// callers that write something before.
void require_continuable(const model::Network& network, const data::Dataset& training,
                         const data::Dataset& validation, const TrainOptions& options,
                         const TrainContext& context);

}  // namespace crosstate::train
