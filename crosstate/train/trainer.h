// Trains a network on a data set, keeps the best epoch, and resumes interrupted runs.
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
  std::vector<EpochLog> epochs;       // including those before a resume
  int best_epoch = 0;                 // 0: no epoch was completed
  double best_validation_metric = 0;  // NaN without a validation set
  double seconds = 0;                 // of all epochs
  double samples_per_second = 0;      // of training alone
  bool interrupted = false;
  bool stopped_early = false;  // because TrainOptions::patience was exhausted
};

/// Trains the network. On return it has the parameters of the epoch with the best primary metric on
/// the validation set (then the lowest validation loss), or of the last epoch if `validation` is
/// empty. Every epoch replaces DIRECTORY/STAGE.checkpoint.safetensors and DIRECTORY/STAGE.jsonl; a
/// run that resumes from them ends with the same bits as an uninterrupted one. Sequences of
/// different lengths are batched by training_order().
///
/// With TrainOptions::average, the network that is validated and returned is the moving average of
/// the weights and of the running statistics of batch norms. These statistics belong to the weights
/// during training. If rounding to few bits makes the final network differ from those,
/// TrainOptions::norm_batches recomputes the statistics.
///
/// At the border between two QuantStages the network continues as it is after the last step, with
/// the same optimiser and one learning-rate schedule over all stages: the weights do not jump, so
/// their moments remain valid, and only the last stage has to end at the lowest rate. Ranges that
/// change are chosen from the calibration batches and their moments are reset. The average is
/// restarted, since it would mix two formats. Best epoch and patience refer to the last stage.
///
/// Throws Error if the loss or a gradient is not finite, if a checkpoint belongs to another run,
/// and for stages or a teacher that do not fit.
TrainSummary train(model::Network& network, const data::Dataset& training,
                   const data::Dataset& validation, const TrainOptions& options,
                   const TrainContext& context);

/// Throws Error if train() with these arguments would find a checkpoint of another run; for callers
/// that write other files first.
void require_continuable(const model::Network& network, const data::Dataset& training,
                         const data::Dataset& validation, const TrainOptions& options,
                         const TrainContext& context);

}  // namespace crosstate::train
