// Float training, quantization, quantization-aware training, and the results of each stage.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/inference/preparation.h"
#include "crosstate/model/network.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/stages.h"
#include "crosstate/prune/select.h"
#include "crosstate/simulate/simulate.h"
#include "crosstate/train/trainer.h"

namespace crosstate::pipeline {

struct StageSummary : StageRecord {
  // Primary metric of the task on the test set, and the loss; NaN without a test set.
  double metric = std::numeric_limits<double>::quiet_NaN();
  double loss = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sums;      // likewise, see Task::sums(); empty without a test set
  double validation_metric = 0;  // NaN without a validation set
  int weight_bits = 32, state_bits = 32;
  cost::MemorySummary memory;
  train::TrainSummary training;  // empty for post-training quantization
};

struct NoisePoint {
  double noise = 0;  // of programming, relative
  simulate::SimulateSummary ptq, qat;
};

struct CrossbarSummary : StageRecord {
  simulate::SimulateSummary chips;  // network after quantization-aware training
  std::vector<NoisePoint> sweep;
  std::size_t sweep_sequences = 0;
};

struct RunSummary : PipelineSummary {
  StageSummary float_stage, ptq, qat;
  StageSummary pruned;  // float network after run.prune
  prune::NetworkSize pruned_size;
  CrossbarSummary crossbar;
  std::size_t parameters = 0;

  /// The last network that was made: that of qat, else of pruned, else of float_stage.
  const StageSummary& last() const {
    if (qat.done) return qat;
    return pruned.done ? pruned : float_stage;
  }
};

/// A float network that a run takes from a file.
struct GivenNetwork {
  std::string key, file;
  formats::Safetensors content;
  std::unique_ptr<model::Network> network;
};

/// Those of run.start and, for a run that quantizes, of qat.teacher.
struct GivenNetworks {
  std::optional<GivenNetwork> start;
  std::vector<GivenNetwork> teachers;
};

/// Reads them. Throws Error, with key and file, for one that cannot be read, is quantized, or does
/// not suit [model].
GivenNetworks read_given_networks(const RunOptions& options);

/// Throws Error, with key and file, for one that was not trained on data of this shape and
/// preparation.
void require_same_data(const GivenNetworks& given, const model::TaskShape& shape,
                       const inference::Preparation& preparation);

/// Runs every stage and writes float.safetensors, with run.prune pruned.safetensors,
/// ptq.safetensors, qat.safetensors and summary.json to the directory; for a model whose every site
/// is quantized also NAME.integer.safetensors. The test set is evaluated only after all training.
/// Invalid options, networks in files that do not suit them, an unwritable directory, one with
/// results of an earlier run (without `resume`; see OutputDirectory) and unreadable data are
/// reported before any work. A resumed run ends with the same models, byte for byte, as an
/// uninterrupted one.
RunSummary run(const RunOptions& options, const RunContext& context);

/// For the primary metric, such as accuracy: keys accuracy_mean, accuracy_std, accuracy_worst and
/// accuracy at the first age, ages with the same keys for each age, arrays, utilisation,
/// conversions_per_step, yield, ...
nlohmann::json to_json(const simulate::SimulateSummary& chips);

/// Keys float, pruned, ptq, qat (metrics by Task::to_json(), loss, memory, ...), crossbar
/// (accuracy_mean, ...), parameters, seconds, seed, machine, config.
nlohmann::json to_json(const RunSummary& summary);

}  // namespace crosstate::pipeline
