#include "crosstate/pipeline/prune_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/prune/prune.h"
#include "crosstate/report/machine.h"
#include "crosstate/train/evaluate.h"
#include "crosstate/train/identity.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

constexpr int kEvaluationBatch = 256;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// What the model's file says about its data and shape takes the place of the settings.
RunOptions options_of(const Safetensors& content, const std::string& file, RunOptions options) {
  options.model = Network::from_tensors(content, file).options();
  if (const std::optional<Preparation> preparation = Preparation::load(content, file)) {
    options.data.permutation_seed = preparation->permutation_seed;
    if (preparation->front_end) options.front_end = preparation->front_end->options();
  }
  return options;
}

// Ends the work at any depth; caught where the summary is made.
struct Stopped {};

class PruneRun {
 public:
  PruneRun(const std::string& file, const RunOptions& options, const RunContext& context,
           OutputDirectory& output, ThreadPool& pool)
      : content_(read_safetensors(file)),
        options_(options_of(content_, file, options)),
        context_(context),
        pool_(pool) {
    RunOptions copy = options_;
    summary_.config = copy.fields().to_json();
    summary_.machine = machine_summary();
    if (!options.prune.against.empty()) against_ = read_safetensors(options.prune.against);
    load(file);
    // A run that continues this one reads the models again.
    output.begin({file, options.prune.against});
  }

  PruneSummary run(const std::string& file) {
    const auto start = std::chrono::steady_clock::now();
    try {
      model(file, content_, "pruned");
      if (!options_.prune.against.empty()) model(options_.prune.against, against_, "against");
    } catch (const Stopped&) {
      summary_.interrupted = true;
    }
    summary_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(summary_);
  }

 private:
  void say(const std::string& what) const {
    if (context_.stage) context_.stage(what);
  }

  void load(const std::string& file) {
    say("reading the data");
    data_ = load_run_data(options_, pool_);
    summary_.notes = data_.notes;
    for (const std::string& note : data_.notes) {
      if (context_.note) context_.note(note);
    }
    for (const Dataset* set : {&data_.training, &data_.validation, &data_.test}) {
      if (set->count == 0) continue;
      summary_.data.push_back(set->name + ": " + std::to_string(set->count) + " sequences");
    }
    require_fit(content_, file);
    if (!options_.prune.against.empty()) require_fit(against_, options_.prune.against);
  }

  void require_fit(const Safetensors& content, const std::string& file) const {
    const Network network = Network::from_tensors(content, file);
    try {
      check_fits(network, data_.training);
    } catch (const Error& error) {
      fail(file, "does not fit the data: " + std::string(error.what()));
    }
    if (options_.prune.retrain && options_.quantize && !network.quantized() &&
        network.options().norm == "layer" && !folds_after_rounding(resolved(options_.quant))) {
      fail(file,
           "model.norm = \"layer\" does not fold, which quant.weight needs with one scale per "
           "tensor "
           "or powers of two; expected quant.weight.granularity = \"channel\" and scales = "
           "\"free\"");
    }
    const std::string differs = data_.preparation.difference(content);
    if (!differs.empty()) {
      fail(file, "was trained on other data than these: its " + differs + " differs");
    }
  }

  double accuracy(const Network& network) const {
    const std::optional<Tally> tally =
        evaluate_result(network, data_.test, kEvaluationBatch, pool_, context_.stop);
    if (!tally) throw Stopped();
    return tally->accuracy();
  }

  void model(const std::string& file, const Safetensors& content, const std::string& name) {
    const Network original = Network::from_tensors(content, file);
    summary_.models.emplace_back();
    const auto result = [this]() -> PrunedModel& { return summary_.models.back(); };
    result().file = file;
    result().quantized = original.quantized();
    result().size = size_of(original);
    result().memory = count_memory(original);
    say("testing " + file);
    result().accuracy = accuracy(original);
    const std::vector<Batch> batches = score_batches(data_.training, options_);
    Network network = original;
    set_noise(network, batches);
    if (options_.prune.penalty > 0) penalise(original, network, name + "-penalty");
    const std::vector<PruneShares> points = prune_points(options_.prune);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::string at = points.size() > 1 ? name + "-" + std::to_string(i + 1) : name;
      result().points.push_back(point(original, network, batches, points[i], at));
    }
  }

  // `network`: the original after the penalty, if there is one.
  PrunePoint point(const Network& original, Network network, const std::vector<Batch>& batches,
                   const PruneShares& shares, const std::string& name) {
    PrunePoint out;
    out.wanted = shares;
    out.file = name + ".safetensors";
    const NetworkSize whole = size_of(original);
    say("pruning to " + name);
    const Network at_once = prune(network, options_.prune, shares, whole, batches, pool_);
    out.one_shot = accuracy(at_once);
    out.retrained = out.validation_accuracy = kNone;
    if (!options_.prune.retrain) {
      network = at_once;
      finish(network, name);
    } else {
      const std::vector<PruneShares> way = prune_schedule(options_.prune, shares);
      for (std::size_t i = 0; i < way.size(); ++i) {
        network = prune(network, options_.prune, way[i], whole, batches, pool_);
        const std::string stage = way.size() > 1 ? name + "-step" + std::to_string(i + 1) : name;
        out.training = retrain(original, network, stage, epochs_of(way.size(), i));
      }
      out.validation_accuracy = out.training.best_validation_accuracy;
      finish(network, name);
      out.retrained = accuracy(network);
    }
    out.size = size_of(network);
    out.memory = count_memory(network);
    return out;
  }

  // The epochs of qat, divided among the steps; the last takes what remains.
  int epochs_of(std::size_t steps, std::size_t step) const {
    const int each = options_.qat.epochs / static_cast<int>(steps);
    return step + 1 < steps ? each : options_.qat.epochs - each * static_cast<int>(steps - 1);
  }

  void set_noise(Network& network, const std::vector<Batch>& batches) const {
    if (!network.quantized()) return;
    QuantOptions quant = network.quant_options();
    quant.weight_noise = options_.quant.weight_noise;
    quant.device_noise = options_.quant.device_noise;
    quant.noise_unit = options_.quant.noise_unit;
    quant.chip_steps = options_.quant.chip_steps;
    quant.noise_recurrence = options_.quant.noise_recurrence;
    network.requantize(quant, batches, pool_);
  }

  // Trains with a penalty that closes what is of little use.
  void penalise(const Network& original, Network& network, const std::string& stage) {
    TrainContext context = stage_context(original, stage);
    context.after_step = [this](Network& trained, double rate) {
      shrink_groups(trained, rate * options_.prune.penalty);
    };
    TrainOptions options = training_options();
    options.epochs = options_.prune.penalty_epochs;
    train_stage(network, options, context);
  }

  TrainSummary retrain(const Network& original, Network& network, const std::string& stage,
                       int epochs) {
    if (!network.quantized() && options_.quantize) {
      if (!folds_after_rounding(resolved(options_.quant))) network.fold_norms();
      network.quantize(options_.quant, calibration_batches(data_.training, options_), pool_);
    }
    TrainOptions options = training_options();
    options.epochs = epochs;
    return train_stage(network, options, stage_context(original, stage));
  }

  TrainOptions training_options() const {
    TrainOptions options = options_.qat;
    options.validation = options_.train.validation;
    return options;
  }

  TrainSummary train_stage(Network& network, const TrainOptions& options,
                           const TrainContext& context) {
    TrainSummary summary = train(network, data_.training, data_.validation, options, context);
    if (summary.interrupted) throw Stopped();
    return summary;
  }

  TrainContext stage_context(const Network& original, const std::string& stage) {
    TrainContext context;
    context.stage = stage;
    context.seed = options_.seed;
    context.directory = context_.directory;
    context.resume = context_.resume;
    context.pool = &pool_;
    context.progress = context_.progress;
    context.stop = context_.stop;
    context.teacher = {&original, options_.qat.distill, options_.qat.temperature};
    if (data_.augmenter) {
      context.epoch_data = [this](std::uint32_t epoch) -> const Dataset& {
        return data_.augmenter->epoch(epoch);
      };
    }
    const nlohmann::json settings = RunIdentity().settings(options_);
    for (const char* section : {"data", "front_end", "augment", "quant", "prune", "run"}) {
      context.config[section] = settings.at(section);
    }
    context.config["data"]["test"] = data_identity(data_.test);
    context.config["checksum of the model"] = checksum(original);
    for (const char* key : {"states", "channels"}) context.config["prune"].erase(key);
    return context;
  }

  // Folds what folds and writes the model; in whole numbers too, where it is made of them.
  void finish(Network& network, const std::string& name) const {
    if (network.quantized() && network.options().norm == "batch") network.fold_norms();
    const auto save = [&](Safetensors content, const std::string& ending) {
      data_.preparation.save(content);
      write_safetensors(context_.directory / (name + ending), content);
    };
    save(network.to_tensors(), ".safetensors");
    if (!site_in_floating_point(network).empty() || network.options().norm != "none") return;
    save(to_tensors(to_integers(network)), ".integer.safetensors");
  }

  Safetensors content_, against_;
  const RunOptions options_;
  const RunContext& context_;
  ThreadPool& pool_;
  RunData data_;
  PruneSummary summary_;
};

}  // namespace

void validate_prune(const RunOptions& options) {
  validate(options);
  if (!options.qat.stages.empty()) {
    fail("options", "qat.stages = \"" + options.qat.stages +
                        "\", expected none: a pruned model is trained on in its own formats");
  }
  if (options.qat.target_noise > 0) {
    fail("options", "qat.target_noise = " + exact_text(options.qat.target_noise) +
                        ", expected 0: a pruned model is trained on with the noise of [quant]");
  }
  if (options.prune.retrain && options.prune.schedule == "gradual" &&
      options.prune.steps > options.qat.epochs) {
    fail("options", "prune.steps = " + std::to_string(options.prune.steps) +
                        " above qat.epochs = " + std::to_string(options.qat.epochs) +
                        ", which they divide; expected at least one epoch for each");
  }
}

PruneSummary prune_model(const std::string& file, const RunOptions& options,
                         const RunContext& context) {
  validate_prune(options);
  if (context.directory.empty()) fail("prune", "no directory for the results");
  std::optional<OutputDirectory> opened;
  if (context.output == nullptr) {
    opened.emplace(context.directory, "prune",
                   context.resume ? Earlier::kContinue : Earlier::kRefuse);
  }
  OutputDirectory& output = opened ? *opened : *context.output;
  std::unique_ptr<ThreadPool> own;
  if (context.pool == nullptr) own = std::make_unique<ThreadPool>();
  PruneSummary summary =
      PruneRun(file, options, context, output, own ? *own : *context.pool).run(file);
  if (summary.interrupted) return summary;
  write_file(context.directory / "report.html", to_html(prune_report(summary)));
  return summary;
}

}  // namespace crosstate
