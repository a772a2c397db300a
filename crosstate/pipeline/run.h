// Training in floating point, quantization, training on, and what each stage came to.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/interrupt.h"
#include "crosstate/base/threads.h"
#include "crosstate/cost/memory.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/output.h"
#include "crosstate/prune/select.h"
#include "crosstate/simulate/simulate.h"
#include "crosstate/train/trainer.h"

namespace crosstate {

struct RunContext {
  std::filesystem::path directory;    // of checkpoints and results
  bool resume = false;                // continue what an interrupted run left there
  OutputDirectory* output = nullptr;  // `directory`, opened by the caller; null: it is opened here
  ThreadPool* pool = nullptr;         // null: every core
  std::function<void(const TrainProgress&)> progress;
  std::function<void(const std::string&)> stage;  // told what happens between two trainings
  std::function<void(const std::string&)> note;   // told RunData::notes, before any work
  std::function<bool()> stop = interrupted;
};

struct StageSummary {
  bool done = false;
  double accuracy = 0;             // on the test set
  double loss = 0;                 // likewise
  double validation_accuracy = 0;  // NaN without a validation set
  double seconds = 0;
  int weight_bits = 32, state_bits = 32;
  MemorySummary memory;
  TrainSummary training;  // empty for post-training quantization
};

struct NoisePoint {
  double noise = 0;  // of programming, relative
  SimulateSummary ptq, qat;
};

struct CrossbarSummary {
  bool done = false;
  SimulateSummary chips;  // of the network after quantization-aware training
  std::vector<NoisePoint> sweep;
  std::size_t sweep_sequences = 0;
  double seconds = 0;
};

struct RunSummary {
  StageSummary float_stage, ptq, qat;
  StageSummary pruned;  // the float network after run.prune
  NetworkSize pruned_size;
  CrossbarSummary crossbar;
  std::size_t parameters = 0;
  double seconds = 0;  // of all stages, with those before a resume
  std::uint64_t seed = 0;
  int threads = 0;
  bool interrupted = false;  // then only the stages before are done
  nlohmann::json config, machine;
  std::vector<std::string> data;   // names and sizes of the sets
  std::vector<std::string> notes;  // of RunData
};

/// Runs every stage and leaves float.safetensors, with run.prune pruned.safetensors,
/// ptq.safetensors, qat.safetensors and summary.json in the directory; beside a model whose every
/// site is rounded, NAME.integer.safetensors. The test set is evaluated only after all training.
/// Bad options, an unwritable directory, one with results of an earlier run (without `resume`; see
/// OutputDirectory) and unreadable data are found before any work. A run that resumes ends with the
/// same models, byte for byte, as one that was never interrupted.
RunSummary run(const RunOptions& options, const RunContext& context);

/// Keys accuracy_mean, accuracy_std, accuracy_worst and accuracy at the first age, ages with the
/// same for each, arrays, utilisation, conversions_per_step, yield, ...
nlohmann::json to_json(const SimulateSummary& chips);

/// Keys float, pruned, ptq, qat (accuracy, loss, memory, ...), crossbar (accuracy_mean, ...),
/// parameters, seconds, seed, machine, config.
nlohmann::json to_json(const RunSummary& summary);

}  // namespace crosstate
