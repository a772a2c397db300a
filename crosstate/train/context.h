// What training needs besides options and data: directory, callbacks, teacher and stages.
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

/// Networks the mean of whose outputs for every training sequence is learned in addition to the
/// targets; see Task::loss().
struct Teacher {
  std::vector<const model::Network*> networks;  // in inference mode: running statistics, no dropout
  double weight = 0;       // share of the teacher in the loss; 0: no teacher, 1: no targets
  double temperature = 2;  // above 0, finite
  double streams = 0;      // LossOptions::stream_weight, finite; above 0: one network, of the same
                           // shape
  bool teaches() const { return weight > 0 || streams > 0; }
};

/// Some epochs of training a quantized network in their own formats.
struct QuantStage {
  std::string name;
  int epochs = 0;
  quant::QuantOptions quant;
};

struct TrainProgress {
  std::string stage;                  // with several QuantStages also the format: "qat w4a8s8"
  int epoch = 0, epochs = 0;          // from 1
  std::size_t done = 0, samples = 0;  // training sequences done and total of this epoch
  double loss = 0, metric = 0;        // mean and primary metric over the sequences done
  double batch_loss = 0;              // mean over the last batch
  task::TaskMetric kind;              // metric of `metric` and of the log
  double samples_per_second = 0;      // in this epoch
  double seconds_left = 0;            // of the stage, estimated from the elapsed time
  bool epoch_end = false;             // validated and saved; `log` is set
  bool last = false;                  // no epoch follows: all are done, or patience is exhausted
  EpochLog log;
};

struct TrainContext {
  std::string stage = "train";      // names the output files
  std::uint64_t seed = 1;           // of order, dropout and noise
  std::filesystem::path directory;  // for checkpoint and log; empty: nothing is written
  bool resume = false;              // continue from the checkpoint, if there is one
  ThreadPool* pool = nullptr;       // null: use all cores
  std::function<void(const TrainProgress&)> progress;
  nlohmann::json config;  // sections (model, data, ...) that a resumed run must share
  std::function<bool()> stop = interrupted;  // called before every batch
  /// The training set of an epoch (from 0): as many sequences, channels and outputs as `training`,
  /// always the same for the same epoch, valid until the next call. Null: `training` itself in
  /// every epoch.
  std::function<const data::Dataset&(std::uint32_t epoch)> epoch_data;
  int epoch_sets = 0;  // epochs whose numbers are equal modulo it have equal epoch_data; 0: none
  Teacher teacher;
  /// Called after every step of the optimiser with the learning rate of the weights in that step.
  /// Its changes must be determined by the network and the content of `config`. May be null.
  std::function<void(model::Network& network, double rate)> after_step;
  /// The stages in order, TrainOptions::epochs in total; the network must have the formats of the
  /// first. Empty: one stage in the network's own formats.
  std::vector<QuantStage> stages;
  std::span<const data::Batch> calibration;  // for the ranges that a later stage chooses
};

/// Throws Error for a teacher, stages or formats that do not fit the network and its data.
void validate(const TrainContext& context, const model::Network& network,
              const data::Dataset& training, const TrainOptions& options);

}  // namespace crosstate::train
