#include "crosstate/pipeline/stages.h"

#include <algorithm>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/inference/model.h"
#include "crosstate/report/machine.h"
#include "crosstate/train/evaluate.h"
#include "crosstate/train/identity.h"

namespace crosstate::pipeline {
namespace {

constexpr int kEvaluationBatch = 256;

// Thrown at any depth to stop; caught where the list of stages is run.
struct Stopped {};

bool is_continued(const Stage& stage) { return !stage.settings.empty(); }

void fold_if_quantized(model::Network& network) {
  if (network.quantized() && network.options().norm == model::Norm::kBatch) network.fold_norms();
}

}  // namespace

std::string interval_text(const PipelineSummary& summary, double metric) {
  const std::optional<task::Interval> interval =
      task::interval_of(summary.readout, metric, summary.test_sequences);
  return interval ? interval->text() : "-";
}

std::vector<std::string> float_training_settings() {
  return {"data.", "front_end.", "augment.", "model."};
}

Pipeline::Pipeline(const std::string& command, const RunContext& context, PipelineSummary& summary)
    : context_(context), summary_(summary) {
  if (context.directory.empty()) fail(command, "no directory for the results");
  if (context.output == nullptr) {
    own_output_.emplace(context.directory, command,
                        context.resume ? Earlier::kContinue : Earlier::kRefuse);
  }
  if (context.pool == nullptr) own_pool_ = std::make_unique<ThreadPool>();
  summary_.machine = report::machine_summary();
  summary_.threads = pool().size();
}

void Pipeline::say(const std::string& what) const {
  if (context_.stage) context_.stage(what);
}

void Pipeline::load(const RunOptions& options) {
  begin_load(options);
  data_ = load_run_data(options_, pool());
  end_load(data_.notes, data_.preparation.readout);
}

void Pipeline::load(const RunOptions& options,
                    const std::optional<inference::Preparation>& preparation,
                    const std::string& where) {
  begin_load(options);
  data_ = load_model_data(options_, preparation, where, pool());
  end_load(data_.test.notes, data_.training.readout);
}

void Pipeline::begin_load(const RunOptions& options) {
  options_ = options;
  RunOptions copy = options;
  summary_.config = copy.fields().to_json();
  summary_.seed = options.seed;
  say("reading the data");
}

void Pipeline::end_load(const std::vector<std::string>& notes, const task::Readout& readout) {
  summary_.notes = notes;
  summary_.readout = readout;
  summary_.test_sequences = data_.test.count;
  for (const std::string& note : notes) {
    if (context_.note) context_.note(note);
  }
  for (const data::Dataset* set : {&data_.training, &data_.validation, &data_.test}) {
    if (set->count == 0) continue;
    summary_.data.push_back(set->name + ": " + std::to_string(set->count) + " sequences of " +
                            (set->lengths.empty() ? "" : "up to ") + std::to_string(set->length) +
                            " steps");
  }
}

void Pipeline::run(const std::vector<Stage>& stages) {
  try {
    for (auto stage = stages.begin(); stage != stages.end(); ++stage) {
      if (stage != stages.begin()) leave_if_stopped();
      if (std::none_of(stage, stages.end(), is_continued)) write_held();
      if (!stage->message.empty()) say(stage->message);
      const Stopwatch watch;
      summary_.seconds = watch_.seconds() + seconds_before_;
      stage->work(*stage);
      if (stage->record == nullptr) continue;
      if (!is_continued(*stage)) stage->record->seconds = watch.seconds();
      stage->record->done = true;
    }
  } catch (const Stopped&) {
    summary_.interrupted = true;
  }
  summary_.seconds = watch_.seconds() + seconds_before_;
}

void Pipeline::run_before(const std::function<void()>& work) {
  try {
    work();
  } catch (const Stopped&) {
    summary_.interrupted = true;
  }
}

void Pipeline::leave_if_stopped() const {
  if (context_.stop && context_.stop()) leave();
}

void Pipeline::leave() { throw Stopped(); }

train::TrainSummary Pipeline::train(const Stage& stage, model::Network& network,
                                    const train::TrainOptions& options,
                                    train::TrainContext context) {
  context.stage = stage.name;
  context.seed = options_.seed;
  context.directory = context_.directory;
  context.resume = context_.resume;
  context.pool = &pool();
  context.progress = context_.progress;
  context.stop = context_.stop;
  if (data_.augmenter) {
    context.epoch_data = [this](std::uint32_t epoch) -> const data::Dataset& {
      return data_.augmenter->epoch(epoch);
    };
    context.epoch_sets = options_.augment.variants;
  }
  nlohmann::json config = identity_.settings(options_, stage.settings);
  config["data"]["test"] = train::data_identity(data_.test);
  if (!context.config.is_null()) config.update(context.config);
  context.config = std::move(config);
  const Stopwatch watch;
  if (!held_.empty()) {
    train::require_continuable(network, data_.training, data_.validation, options, context);
    write_held();
  }
  const train::TrainSummary summary =
      train::train(network, data_.training, data_.validation, options, context);
  seconds_before_ += std::max(0.0, summary.seconds - watch.seconds());
  if (stage.record != nullptr) stage.record->seconds = summary.seconds;
  if (summary.interrupted) {
    if (context_.best_so_far && summary.best_epoch > 0) {
      fold_if_quantized(network);
      context_.best_so_far(inference::Model(network, data_.preparation, stage.name));
    }
    leave();
  }
  return summary;
}

train::Tally Pipeline::evaluate(const model::Network& network, const data::Dataset& set) const {
  const std::optional<train::Tally> tally =
      train::evaluate_result(network, set, kEvaluationBatch, pool(), context_.stop);
  if (!tally) leave();
  return *tally;
}

double Pipeline::validation_metric(const model::Network& network) const {
  if (data_.validation.count == 0) return std::numeric_limits<double>::quiet_NaN();
  return evaluate(network, data_.validation).metric();
}

std::vector<Pipeline::File> Pipeline::files_of(const std::string& name,
                                               const model::Network& network) const {
  const inference::Model model(network, data_.preparation, name);
  std::vector<File> files = {{file(name + ".safetensors"), model.to_tensors()}};
  if (model.not_integer().empty()) {
    files.emplace_back(inference::integer_file(files.front().first),
                       model.to_integers().to_tensors());
  }
  return files;
}

void Pipeline::finish(const std::string& name, model::Network& network) const {
  fold_if_quantized(network);
  for (const auto& [path, content] : files_of(name, network))
    formats::write_safetensors(path, content);
}

void Pipeline::hold(const std::string& name, const model::Network& network) {
  for (File& file : files_of(name, network)) held_.push_back(std::move(file));
}

void Pipeline::write_held() {
  for (const auto& [path, content] : held_) formats::write_safetensors(path, content);
  held_.clear();
}

}  // namespace crosstate::pipeline
