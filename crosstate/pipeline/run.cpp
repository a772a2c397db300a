#include "crosstate/pipeline/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/prune/prune.h"
#include "crosstate/report/machine.h"
#include "crosstate/simulate/target_noise.h"
#include "crosstate/train/identity.h"

namespace crosstate {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kEvaluationBatch = 256;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Run {
 public:
  Run(const RunOptions& options, const RunContext& context, OutputDirectory& output,
      ThreadPool& pool)
      : options_(options), context_(context), output_(output), pool_(pool) {
    RunOptions copy = options;
    summary_.config = copy.fields().to_json();
    summary_.machine = machine_summary();
    summary_.seed = options.seed;
    summary_.threads = pool.size();
  }

  RunSummary run() {
    load();
    summary_.interrupted = !train_stages();
    if (!summary_.interrupted) summary_.interrupted = !test_stages();
    if (!summary_.interrupted && options_.on_crossbar) summary_.interrupted = !crossbar_stage();
    summary_.seconds = watch_.seconds() + seconds_before_;
    if (!summary_.interrupted) {
      write_file(context_.directory / "summary.json", json_text(to_json(summary_), 2) + '\n');
    }
    return std::move(summary_);
  }

 private:
  void say(const std::string& what) const {
    if (context_.stage) context_.stage(what);
  }
  bool stopped() const { return context_.stop && context_.stop(); }
  TaskShape task() const {
    return {static_cast<int>(data_.training.channels),
            static_cast<int>(data_.training.classes.size())};
  }
  fs::path file(const std::string& name) const { return context_.directory / name; }

  void load() {
    // Before an earlier run is removed, which may have left it.
    if (!options_.start.empty()) start_ = read_safetensors(options_.start);
    say("reading the data");
    data_ = load_run_data(options_, pool_);
    summary_.notes = data_.notes;
    for (const std::string& note : data_.notes) {
      if (context_.note) context_.note(note);
    }
    for (const Dataset* set : {&data_.training, &data_.validation, &data_.test}) {
      if (set->count == 0) continue;
      summary_.data.push_back(set->name + ": " + std::to_string(set->count) + " sequences of " +
                              (set->lengths.empty() ? "" : "up to ") + std::to_string(set->length) +
                              " steps");
    }
    if (!options_.start.empty()) {
      float_ = std::make_unique<Network>(Network::from_tensors(start_, options_.start));
      require_start();
    }
    output_.begin({options_.start});
  }

  // The network with all that its input needs; and its integers, where it is made of integers.
  void save(const std::string& name, const Network& network) const {
    Safetensors content = network.to_tensors();
    data_.preparation.save(content);
    write_safetensors(file(name + ".safetensors"), content);
    if (!site_in_floating_point(network).empty() || network.options().norm != "none") return;
    Safetensors integers = to_tensors(to_integers(network));
    data_.preparation.save(integers);
    write_safetensors(file(name + ".integer.safetensors"), integers);
  }

  // False if it was stopped.
  bool train_stages() {
    if (!float_stage()) return false;
    if (options_.prune_float && !prune_stage()) return false;
    if (!options_.quantize) {
      save_untrained();
      return true;
    }

    const Network& trained = pruned_ ? *pruned_ : *float_;
    say("choosing the ranges");
    const Stopwatch watch;
    ptq_ = std::make_unique<Network>(trained);
    ptq_->fold_norms();
    (pruned_ ? summary_.pruned : summary_.float_stage).memory = count_memory(*ptq_);
    ptq_->quantize(options_.quant, calibration_batches(data_.training, options_), pool_);
    describe_bits(summary_.ptq);
    summary_.ptq.memory = count_memory(*ptq_);
    if (!validate(*ptq_, summary_.ptq)) return false;
    summary_.ptq.done = true;
    summary_.ptq.seconds = watch.seconds();

    // Batch norms stay while training, which tolerates high rates, and fold without a trace.
    qat_ = std::make_unique<Network>(trained);
    std::vector<QuantStage> stages = qat_stages(options_);
    if (options_.qat.target_noise > 0) disturb_as_target(stages);
    const bool foldable = std::all_of(stages.begin(), stages.end(), [](const QuantStage& stage) {
      return folds_after_rounding(stage.quant);
    });
    if (!foldable) qat_->fold_norms();
    const std::vector<Batch> calibration = calibration_batches(data_.training, options_);
    qat_->quantize(stages.front().quant, calibration, pool_);
    describe_bits(summary_.qat);
    TrainOptions qat = options_.qat;
    qat.validation = options_.train.validation;
    TrainContext context =
        stage_context("qat", {"data", "front_end", "augment", "model", "quant", "train", "run"});
    const json settings = RunIdentity().settings(options_);
    if (options_.prune_float) context.config["prune"] = settings.at("prune");
    if (options_.qat.target_noise > 0) {
      for (const char* section : {"device", "crossbar", "wires"}) {
        context.config[section] = settings.at(section);
      }
      context.config["first of simulate.times, the age of the noise in training"] =
          simulated_times(options_.simulate).front();
    }
    context.teacher = {float_.get(), options_.qat.distill, options_.qat.temperature};
    context.stages = stages;
    context.calibration = calibration;
    require_continuable(*qat_, data_.training, data_.validation, qat, context);
    save_untrained();
    return train_stage(*qat_, qat, context, summary_.qat);
  }

  // What needs no epochs. A run that is continued with other settings is refused before these
  // files would be those of other settings than the trained ones beside them.
  void save_untrained() const {
    if (!options_.start.empty()) save("float", *float_);
    if (pruned_) save("pruned", *pruned_);
    if (ptq_) save("ptq", *ptq_);
  }

  // Noise of the weights as on a chip that holds the network as it is rounded before training.
  void disturb_as_target(std::vector<QuantStage>& stages) {
    const double age = simulated_times(options_.simulate).front();
    const TargetNoise noise = target_noise(to_integers(*ptq_), options_.target, age, options_.seed);
    const double share = options_.qat.target_noise, most = std::max(noise.device, noise.read);
    if (share * most > 1) {
      fail("options", "qat.target_noise = " + exact_text(share) + " times the target's noise, " +
                          percent(most) + " of the largest weight, is more than that weight; " +
                          "expected at most " + exact_text(std::floor(100 / most) / 100));
    }
    for (QuantStage& stage : stages) {
      stage.quant.array = options_.quant.array;  // which wins
      train_for(options_.target.crossbar, noise, share, stage.quant);
    }
    say("the target's noise: " + percent(noise.device) + " of the largest weight for good, " +
        percent(noise.read) + " in every read, " + percent(stages.front().quant.array.noise) +
        " of a step in every conversion");
  }

  // False if it was stopped.
  bool float_stage() {
    if (options_.start.empty()) {
      float_ = std::make_unique<Network>(options_.model, task(), options_.seed);
      summary_.parameters = float_->parameter_count();
      return train_stage(*float_, options_.train,
                         stage_context("float", {"data", "front_end", "augment", "model"}),
                         summary_.float_stage);
    }
    summary_.parameters = float_->parameter_count();
    summary_.float_stage.memory = count_memory(*float_);
    summary_.float_stage.done = true;
    return validate(*float_, summary_.float_stage);
  }

  // False if it was stopped.
  bool prune_stage() {
    say("pruning");
    const Stopwatch watch;
    const PruneShares shares = prune_points(options_.prune).front();
    pruned_ = std::make_unique<Network>(prune(*float_, options_.prune, shares, size_of(*float_),
                                              score_batches(data_.training, options_), pool_));
    StageSummary& stage = summary_.pruned;
    stage.memory = count_memory(*pruned_);
    stage.seconds = watch.seconds();
    stage.done = true;
    summary_.pruned_size = size_of(*pruned_);
    return validate(*pruned_, stage);
  }

  // What run.start names has to be what training would have made, but for the weights.
  void require_start() const {
    const std::string& file = options_.start;
    if (float_->quantized()) fail(file, "is quantized already, expected a float model");
    const auto model_of = [](ModelOptions options) {
      FieldList list;
      fields(list, options);
      return list.to_json().at("model");
    };
    const json found = model_of(float_->options()), wanted = model_of(options_.model);
    for (const auto& [key, value] : wanted.items()) {
      if (found.at(key) == value) continue;
      fail(file, "model." + key + " is " + exact_json_text(found.at(key)) + ", expected " +
                     exact_json_text(value) + " as the settings say");
    }
    if (float_->task().inputs != task().inputs || !data_.preparation.difference(start_).empty()) {
      fail(file, "was trained on other data (channels, classes, order of steps or front end)");
    }
  }

  TrainContext stage_context(const std::string& name, const std::vector<std::string>& sections) {
    TrainContext context;
    context.stage = name;
    context.seed = options_.seed;
    context.directory = context_.directory;
    context.resume = context_.resume;
    context.pool = &pool_;
    context.progress = context_.progress;
    context.stop = context_.stop;
    if (data_.augmenter) {
      context.epoch_data = [this](std::uint32_t epoch) -> const Dataset& {
        return data_.augmenter->epoch(epoch);
      };
    }
    const json settings = RunIdentity().settings(options_);
    for (const std::string& section : sections) context.config[section] = settings.at(section);
    context.config["data"]["test"] = data_identity(data_.test);
    // What comes after all training.
    if (context.config.contains("run")) context.config["run"].erase("crossbar");
    return context;
  }

  bool train_stage(Network& network, const TrainOptions& options, const TrainContext& context,
                   StageSummary& stage) {
    const Stopwatch watch;
    stage.training = train(network, data_.training, data_.validation, options, context);
    seconds_before_ += std::max(0.0, stage.training.seconds - watch.seconds());
    stage.seconds = stage.training.seconds;
    if (stage.training.interrupted) return false;
    if (network.quantized() && network.options().norm == "batch") network.fold_norms();
    save(context.stage, network);
    stage.validation_accuracy = stage.training.best_validation_accuracy;
    stage.memory = count_memory(network);
    stage.done = true;
    return !stopped();
  }

  void describe_bits(StageSummary& stage) const {
    const auto bits = [](int code) { return code > 0 ? code : 32; };
    const QuantOptions quant = resolved(options_.quant);
    stage.weight_bits = bits(quant.weight.bits);
    stage.state_bits = bits(quant.state.bits);
  }

  std::optional<Tally> evaluate(const Network& network, const Dataset& set) const {
    return evaluate_result(network, set, kEvaluationBatch, pool_, context_.stop);
  }

  // False if it was stopped.
  bool validate(const Network& network, StageSummary& stage) {
    stage.validation_accuracy = std::numeric_limits<double>::quiet_NaN();
    if (data_.validation.count == 0) return !stopped();
    const std::optional<Tally> tally = evaluate(network, data_.validation);
    if (tally) stage.validation_accuracy = tally->accuracy();
    return tally && !stopped();
  }

  // False if it was stopped.
  bool test_stages() {
    say("testing");
    const auto test = [&](const std::unique_ptr<Network>& network, StageSummary& stage) {
      if (!network) return true;
      const std::optional<Tally> tally = evaluate(*network, data_.test);
      if (!tally) return false;
      stage.accuracy = tally->accuracy();
      stage.loss = tally->loss();
      return true;
    };
    return test(float_, summary_.float_stage) && test(pruned_, summary_.pruned) &&
           test(ptq_, summary_.ptq) && test(qat_, summary_.qat);
  }

  // False if it was stopped.
  bool crossbar_stage() {
    const Stopwatch watch;
    CrossbarSummary& result = summary_.crossbar;
    say("programming " + std::to_string(options_.simulate.chips) + " chips");
    SimulateContext context;
    context.stop = context_.stop;
    const IntegerNetwork ptq = to_integers(*ptq_), qat = to_integers(*qat_);
    result.chips = simulate(qat, data_.test, options_.target, options_.simulate, options_.seed,
                            pool_, context);
    if (result.chips.interrupted) return false;
    const Dataset part = first(data_.test, static_cast<std::size_t>(options_.sweep.sequences));
    result.sweep_sequences = part.count;
    const DeviceOptions& device = options_.target.device;
    const double ratio =
        device.programming_noise > 0 ? device.read_noise / device.programming_noise : 0;
    for (const double level : noise_levels(options_.sweep)) {
      if (stopped()) return false;
      say("chips with " + percent(level) + " noise");
      // Of the models, gaussian alone has a level of noise; a real chip has its own.
      Target target = options_.target;
      target.external = {};
      if (device.model != "gaussian") target.device = {};
      target.device.programming_noise = level;
      target.device.read_noise = std::min(1.0, level * ratio);
      const auto chips = [&](const IntegerNetwork& network) {
        return simulate(network, part, target, {.chips = options_.sweep.chips}, options_.seed,
                        pool_, context);
      };
      NoisePoint& point = result.sweep.emplace_back();
      point.noise = level;
      point.ptq = chips(ptq);
      point.qat = chips(qat);
      if (point.ptq.interrupted || point.qat.interrupted) return false;
    }
    result.seconds = watch.seconds();
    result.done = true;
    return !stopped();
  }

  static std::string percent(double share) {
    char text[32];
    std::snprintf(text, sizeof text, "%g %%", 100 * share);
    return text;
  }

  const RunOptions& options_;
  const RunContext& context_;
  OutputDirectory& output_;
  ThreadPool& pool_;
  Stopwatch watch_;
  double seconds_before_ = 0;  // of the epochs before a resume
  RunData data_;
  Safetensors start_;  // of run.start
  std::unique_ptr<Network> float_, pruned_, ptq_, qat_;
  RunSummary summary_;
};

json stage_json(const StageSummary& stage) {
  json out = {{"accuracy", stage.accuracy},
              {"loss", stage.loss},
              {"validation_accuracy", stage.validation_accuracy},
              {"seconds", stage.seconds},
              {"weight_bits", stage.weight_bits},
              {"state_bits", stage.state_bits},
              {"memory", to_json(stage.memory)}};
  if (!stage.training.epochs.empty()) {
    out["best_epoch"] = stage.training.best_epoch;
    out["epochs"] = stage.training.epochs.size();
    out["samples_per_second"] = stage.training.samples_per_second;
    out["history"] = stage.training.epochs;
  }
  return out;
}

json age_json(const AgeSummary& age) {
  return {{"seconds_since_programming", age.seconds},
          {"accuracy_mean", age.mean},
          {"accuracy_std", age.deviation},
          {"accuracy_worst", age.worst},
          {"accuracy", age.accuracy}};
}

json crossbar_json(const CrossbarSummary& crossbar) {
  json out = to_json(crossbar.chips);
  out["seconds"] = crossbar.seconds;
  out["sweep"] = json::array();
  for (const NoisePoint& point : crossbar.sweep) {
    out["sweep"].push_back({{"noise", point.noise},
                            {"ptq", age_json(point.ptq.first())},
                            {"qat", age_json(point.qat.first())}});
  }
  return out;
}

}  // namespace

json to_json(const SimulateSummary& chips) {
  json out = age_json(chips.first());
  out.erase("seconds_since_programming");
  out["ages"] = json::array();
  for (const AgeSummary& age : chips.ages) out["ages"].push_back(age_json(age));
  out["arrays"] = chips.arrays;
  out["utilisation"] = chips.utilisation;
  out["conversions_per_step"] = chips.conversions_per_step;
  out["conversions_per_sequence"] = chips.conversions_per_sequence;
  if (!chips.external) {
    out["yield"] = chips.programming.yield();
    out["programming_pulses"] = chips.programming.pulses;
    out["programming_energy_pj"] = chips.programming.energy;
  }
  out["seconds"] = chips.seconds;
  return out;
}

RunSummary run(const RunOptions& options, const RunContext& context) {
  validate(options);
  if (context.directory.empty()) fail("run", "no directory for the results");
  require_data(options);
  std::optional<OutputDirectory> opened;
  if (context.output == nullptr) {
    opened.emplace(context.directory, "train",
                   context.resume ? Earlier::kContinue : Earlier::kRefuse);
  }
  std::unique_ptr<ThreadPool> own;
  if (context.pool == nullptr) own = std::make_unique<ThreadPool>();
  return Run(options, context, opened ? *opened : *context.output, own ? *own : *context.pool)
      .run();
}

json to_json(const RunSummary& summary) {
  json out = {{"parameters", summary.parameters},
              {"seconds", summary.seconds},
              {"seed", summary.seed},
              {"threads", summary.threads},
              {"data", summary.data},
              {"machine", summary.machine},
              {"config", summary.config}};
  out["notes"] = summary.notes;
  if (summary.float_stage.done) out["float"] = stage_json(summary.float_stage);
  if (summary.pruned.done) {
    out["pruned"] = stage_json(summary.pruned);
    out["pruned"].update({{"states", summary.pruned_size.states},
                          {"stream_channels", summary.pruned_size.stream},
                          {"block_channels", summary.pruned_size.channels},
                          {"parameters", summary.pruned_size.parameters}});
  }
  if (summary.ptq.done) out["ptq"] = stage_json(summary.ptq);
  if (summary.qat.done) out["qat"] = stage_json(summary.qat);
  if (summary.crossbar.done) out["crossbar"] = crossbar_json(summary.crossbar);
  const StageSummary& last = summary.qat.done ? summary.qat : summary.float_stage;
  out["weight_bits"] = last.weight_bits;
  out["state_bits"] = last.state_bits;
  return out;
}

}  // namespace crosstate
