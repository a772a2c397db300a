// What training needs beside options and data: where it writes, whom it tells, teacher, stages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/interrupt.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"
#include "crosstate/train/epoch_log.h"
#include "crosstate/train/options.h"

namespace crosstate::train {

/// Whose opinion of every training sequence the network learns beside the target; see
/// Task::loss().
struct Teacher {
  const model::Network* network = nullptr;  // evaluated as it is: running statistics, no dropout
  double weight = 0;                        // 0: no teacher, up to 1: no targets
  double temperature = 2;                   // above 0
};

/// Some epochs of a quantized network's training in formats of their own.
struct QuantStage {
  std::string name;
  int epochs = 0;
  quant::QuantOptions quant;
};

struct TrainProgress {
  std::string stage;                  // with several QuantStages "qat w4a8s8"
  int epoch = 0, epochs = 0;          // from 1
  std::size_t done = 0, samples = 0;  // training sequences of this epoch
  double loss = 0, metric = 0;        // mean and primary metric over those done
  task::TaskMetric kind;              // of `metric` and the log's
  double samples_per_second = 0;      // in this epoch
  double seconds_left = 0;            // of the stage, from the time taken so far
  bool epoch_end = false;             // validated and saved; `log` is set
  bool last = false;                  // no epoch follows: all are done, or patience has run out
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
  /// The training set as an epoch, from 0, sees it: as many sequences, channels and outputs as
  /// `training`, the same for the same epoch whenever asked, valid until asked again. Null:
  /// `training` itself in every epoch.
  std::function<const data::Dataset&(std::uint32_t epoch)> epoch_data;
  Teacher teacher;
  /// Told after every step of the optimiser, with the learning rate of weights in that step; what
  /// it changes has to follow from the network and what `config` says. Null: nothing.
  std::function<void(model::Network& network, double rate)> after_step;
  /// In their order, with TrainOptions::epochs in all; the network comes in the formats of the
  /// first. Empty: one stage in the network's own formats.
  std::vector<QuantStage> stages;
  std::span<const data::Batch> calibration;  // of the ranges that a later stage chooses
};

/// Throws Error for a teacher, stages or formats that do not fit the network and its data.
void validate(const TrainContext& context, const model::Network& network,
              const data::Dataset& training, const TrainOptions& options);

}  // namespace crosstate::train
