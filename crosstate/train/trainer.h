// Trains a network on a set, keeps the best epoch, and continues where it was interrupted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/interrupt.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"
#include "crosstate/train/epoch_log.h"
#include "crosstate/train/options.h"

namespace crosstate {

struct TrainProgress {
  std::string stage;
  int epoch = 0, epochs = 0;          // from 1
  std::size_t done = 0, samples = 0;  // training sequences of this epoch
  double loss = 0, accuracy = 0;      // means over those done
  double samples_per_second = 0;      // in this epoch
  double seconds_left = 0;            // of the stage, from the time taken so far
  bool epoch_end = false;             // validated and saved; `log` is set
  EpochLog log;
};

struct TrainContext {
  std::string stage = "train";      // names the files
  std::uint64_t seed = 1;           // of order, dropout and noise
  std::filesystem::path directory;  // of checkpoint and log; empty: nothing is written
  bool resume = false;              // continue from the checkpoint, if there is one
  ThreadPool* pool = nullptr;       // null: every core
  std::function<void(const TrainProgress&)> progress;
  nlohmann::json config;  // sections (model, data, ...) that a resumed run must share
  std::function<bool()> stop = interrupted;  // asked before every batch
  /// The training set as an epoch, from 0, sees it: as many sequences, channels and classes as
  /// `training`, the same for the same epoch whenever asked, valid until asked again. Null:
  /// `training` itself in every epoch.
  std::function<const Dataset&(std::uint32_t epoch)> epoch_data;
};

struct TrainSummary {
  std::vector<EpochLog> epochs;         // with those before a resume
  int best_epoch = 0;                   // 0: none was completed
  double best_validation_accuracy = 0;  // NaN without a validation set
  double seconds = 0;                   // of all epochs
  double samples_per_second = 0;        // of training alone
  bool interrupted = false;
  bool stopped_early = false;  // by TrainOptions::patience
};

/// Trains and leaves the network at the epoch of the highest validation accuracy (then the lowest
/// validation loss), or at the last epoch if `validation` is empty. After every epoch
/// DIRECTORY/STAGE.checkpoint.safetensors and DIRECTORY/STAGE.jsonl are replaced; a run that
/// continues from there ends with the same bits as one that was never interrupted. Sequences of
/// different lengths are batched by training_order(). Throws Error
/// when the loss or a gradient is no longer finite, and when a checkpoint belongs to another run.
TrainSummary train(Network& network, const Dataset& training, const Dataset& validation,
                   const TrainOptions& options, const TrainContext& context);

/// The share of the set that the network classifies correctly, and the mean loss if not null.
/// Throws Error when that loss is not finite.
double evaluate_accuracy(Network& network, const Dataset& set, int batch, ThreadPool& pool,
                         double* loss = nullptr);

}  // namespace crosstate
