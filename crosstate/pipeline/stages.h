// A pipeline as a list of stages, and the engine that runs such lists. The engine reads the data,
// reports progress, trains and resumes, stops, saves networks and measures time in the same way for
// all pipelines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/interrupt.h"
#include "crosstate/base/stopwatch.h"
#include "crosstate/base/threads.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/model/network.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/output.h"
#include "crosstate/train/trainer.h"

namespace crosstate::inference {
class Model;
}  // namespace crosstate::inference

namespace crosstate::pipeline {

struct RunContext {
  std::filesystem::path directory;    // for checkpoints and results
  bool resume = false;                // continue what an interrupted run left there
  OutputDirectory* output = nullptr;  // `directory`, opened by the caller; null: opened here
  ThreadPool* pool = nullptr;         // null: use all cores
  std::function<void(const train::TrainProgress&)> progress;
  std::function<void(const std::string&)>
      stage;  // called with a description of each stage that starts
  std::function<void(const std::string&)> note;  // called with RunData::notes, before any work
  std::function<bool()> stop = interrupted;
  /// Called with the best epoch so far, as it would be saved, if a training stage is stopped after
  /// its first epoch; its name is that of the stage. May be null.
  std::function<void(const inference::Model&)> best_so_far;
};

/// The part of a summary that all pipelines share.
struct PipelineSummary {
  double seconds = 0;  // of all stages, including those before a resume
  std::uint64_t seed = 0;
  int threads = 0;
  bool interrupted = false;  // only the stages before are done
  task::Readout readout;     // kind of the outputs
  std::size_t test_sequences = 0;
  nlohmann::json config, machine;
  std::vector<std::string> data;   // names and sizes of the sets
  std::vector<std::string> notes;  // of RunData
};

/// The 95 % interval of a primary metric on the test set, in percent, as "98.73 to 99.13"; "-" if
/// it is not a share of right decisions on sequences.
std::string interval_text(const PipelineSummary& summary, double metric);

/// Recorded by the engine for a stage.
struct StageRecord {
  bool done = false;
  double seconds = 0;  // of a training stage: time of its epochs, including those before a resume
};

/// One step of a pipeline.
struct Stage {
  std::string name;     // of its checkpoint and log: NAME.checkpoint.safetensors, NAME.jsonl
  std::string message;  // passed to RunContext::stage when the stage begins; empty: none
  /// The settings that determine its result, as in FieldList::use_only(). Together with the content
  /// of the data sets and the arguments of Pipeline::train() they are the identity that a
  /// checkpoint must share to be continued. Empty: the stage has no checkpoint and is repeated on a
  /// resume.
  std::vector<std::string> settings;
  std::function<void(const Stage&)> work;
  StageRecord* record = nullptr;  // null: nothing is recorded
};

/// Settings of all stages that train a float network on the data.
std::vector<std::string> float_training_settings();

class Pipeline {
 public:
  /// Opens the directory, unless the context already has, for a command that OutputDirectory knows.
  /// The context and the summary must outlive the object. Throws Error for a context without a
  /// directory and as OutputDirectory does.
  Pipeline(const std::string& command, const RunContext& context, PipelineSummary& summary);
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Reads the data of a run with these options. Throws Error as load_run_data() does.
  void load(const RunOptions& options);
  /// The same for a trained model, whose file (`where`) tells the preparation of its input; throws
  /// Error as load_model_data() does.
  void load(const RunOptions& options, const std::optional<inference::Preparation>& preparation,
            const std::string& where);
  /// Removes results that are to be replaced, after all inputs have been validated.
  void begin(const std::vector<std::filesystem::path>& inputs) { output().begin(inputs); }
  /// Runs the stages in order. A request to stop ends the work between two batches or two stages,
  /// and sets PipelineSummary::interrupted.
  void run(const std::vector<Stage>& stages);
  /// Work before the stages that is ended in the same way.
  void run_before(const std::function<void()>& work);

  const RunOptions& options() const { return options_; }
  const RunData& data() const { return data_; }
  ThreadPool& pool() const { return own_pool_ ? *own_pool_ : *context_.pool; }
  RunIdentity& identity() { return identity_; }
  std::filesystem::path file(const std::string& name) const { return context_.directory / name; }
  const std::function<bool()>& stop() const { return context_.stop; }
  void say(const std::string& what) const;

  // For use in stages. Each of these functions leaves the stage, and the list, if a stop is
  // requested.

  void leave_if_stopped() const;
  [[noreturn]] static void leave();
  /// Trains the network on the data of the run as this stage. The caller sets only these members of
  /// the context: teacher, stages, calibration, after_step, and config, which is added to the
  /// settings of the stage.
  train::TrainSummary train(const Stage& stage, model::Network& network,
                            const train::TrainOptions& options, train::TrainContext context = {});
  /// Loss and metrics on a data set.
  train::Tally evaluate(const model::Network& network, const data::Dataset& set) const;
  /// Primary metric on the validation set; NaN without one.
  double validation_metric(const model::Network& network) const;

  /// Folds the batch norms of a quantized network and writes NAME.safetensors; if the network can
  /// be converted to integers, also NAME.integer.safetensors.
  void finish(const std::string& name, model::Network& network) const;
  /// Writes the network in its present state after the next training stage has found a checkpoint
  /// to continue, or none, or when no training stage is left. So a run that is resumed with other
  /// settings is rejected before its files could be mixed with networks of the former settings.
  void hold(const std::string& name, const model::Network& network);

 private:
  using File = std::pair<std::filesystem::path, formats::Safetensors>;
  OutputDirectory& output() { return own_output_ ? *own_output_ : *context_.output; }
  std::vector<File> files_of(const std::string& name, const model::Network& network) const;
  void begin_load(const RunOptions& options);
  void end_load(const std::vector<std::string>& notes, const task::Readout& readout);
  void write_held();

  const RunContext& context_;
  PipelineSummary& summary_;
  std::optional<OutputDirectory> own_output_;
  std::unique_ptr<ThreadPool> own_pool_;
  RunOptions options_;
  RunIdentity identity_;
  RunData data_;
  std::vector<File> held_;
  Stopwatch watch_;
  double seconds_before_ = 0;  // of the epochs before a resume
};

}  // namespace crosstate::pipeline
