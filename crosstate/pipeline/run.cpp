#include "crosstate/pipeline/run.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/prune/prune.h"
#include "crosstate/simulate/target_noise.h"

namespace crosstate::pipeline {
namespace {

using nlohmann::json;

std::string percent(double share) { return rounded_text(100 * share, 6) + " %"; }

GivenNetwork read_given_network(const std::string& key, const std::string& file) {
  try {
    formats::Safetensors content = formats::read_safetensors(file);
    const inference::Model saved = inference::Model::from_tensors(content, file);
    if (saved.quantized()) fail(file, "is already quantized, expected a float model");
    return {key, file, std::move(content), std::make_unique<model::Network>(*saved.network())};
  } catch (const Error& error) {
    fail("options", key + " = " + error.what());
  }
}

[[noreturn]] void refuse(const GivenNetwork& given, const std::string& why) {
  fail("options", given.key + " = " + given.file + ": " + why);
}

// The model of run.start must have the options that training would have used.
void require_same_model(const GivenNetwork& start, const model::ModelOptions& model) {
  const auto model_of = [](model::ModelOptions options) {
    FieldList list;
    model::fields(list, options);
    return list.to_json().at("model");
  };
  const json found = model_of(start.network->options()), wanted = model_of(model);
  for (const auto& [key, value] : wanted.items()) {
    if (found.at(key) == value) continue;
    refuse(start, "model." + key + " is " + exact_json_text(found.at(key)) + ", expected " +
                      exact_json_text(value) + " from the settings");
  }
}

void require_same_streams(const GivenNetwork& given, const model::ModelOptions& model) {
  const model::ModelOptions& teacher = given.network->options();
  if (teacher.channels == model.channels && teacher.layers == model.layers) return;
  refuse(given, std::to_string(teacher.channels) + " channels and " +
                    std::to_string(teacher.layers) + " layers, expected those of [model], " +
                    std::to_string(model.channels) + " and " + std::to_string(model.layers) +
                    ", with qat.distill_streams");
}

void require_same_data(const GivenNetwork& given, const model::TaskShape& shape,
                       const inference::Preparation& preparation) {
  const model::TaskShape found = given.network->task();
  std::string why;
  if (found.inputs != shape.inputs || found.outputs != shape.outputs) {
    why = "its channels and outputs are " + std::to_string(found.inputs) + " and " +
          std::to_string(found.outputs) + ", those of the data " + std::to_string(shape.inputs) +
          " and " + std::to_string(shape.outputs);
  } else {
    const std::string differs = preparation.difference(given.content);
    if (!differs.empty()) why = "its " + differs + " differs";
  }
  if (!why.empty()) refuse(given, "was trained on other data: " + why);
}

// The stages of a run and the networks that they pass on.
class Run {
 public:
  Run(const RunOptions& options, const RunContext& context)
      : options_(options), context_(context), pipeline_("train", context, summary_) {
    // Read before an earlier run, which may have written it, is removed.
    GivenNetworks given = read_given_networks(options);
    pipeline_.load(options);
    require_same_data(given, task(), pipeline_.data().preparation);
    std::vector<std::filesystem::path> inputs;
    const auto take = [&](GivenNetwork& from) {
      inputs.emplace_back(from.file);
      return std::move(from.network);
    };
    if (given.start) float_ = take(*given.start);
    for (GivenNetwork& teacher : given.teachers) teachers_.push_back(take(teacher));
    pipeline_.begin(inputs);
  }

  RunSummary run() {
    pipeline_.run(stages());
    return std::move(summary_);
  }

 private:
  std::vector<Stage> stages() {
    std::vector<Stage> list;
    if (options_.start.empty()) {
      list.push_back({"float", "", float_training_settings(),
                      [this](const Stage& stage) { train_float(stage); }, &summary_.float_stage});
    } else {
      list.push_back({"float", "", {}, [this](const Stage&) { take_start(); }});
    }
    if (options_.prune_float) {
      list.push_back(
          {"pruned", "pruning", {}, [this](const Stage&) { prune_float(); }, &summary_.pruned});
    }
    if (options_.quantize) {
      list.push_back(
          {"ptq", "choosing the ranges", {}, [this](const Stage&) { quantize(); }, &summary_.ptq});
      list.push_back({"qat", "", qat_settings(),
                      [this](const Stage& stage) { train_rounded(stage); }, &summary_.qat});
    }
    list.push_back({"test", "testing", {}, [this](const Stage&) { test(); }});
    if (options_.on_crossbar) {
      list.push_back({"crossbar",
                      "programming " + std::to_string(options_.simulate.chips) + " chips",
                      {},
                      [this](const Stage&) { simulate_chips(); },
                      &summary_.crossbar});
    }
    list.push_back({"summary", "", {}, [this](const Stage&) { write_summary(); }});
    return list;
  }

  std::vector<std::string> qat_settings() const {
    std::vector<std::string> keys = float_training_settings();
    keys.insert(keys.end(), {"quant.", "train.", "run.", "!run.crossbar"});  // chips come later
    if (options_.prune_float) keys.push_back("prune.");
    if (options_.qat.target_noise > 0) keys.insert(keys.end(), {"device.", "crossbar.", "wires."});
    return keys;
  }

  model::TaskShape task() const {
    return {static_cast<int>(pipeline_.data().training.channels),
            static_cast<int>(pipeline_.data().training.readout.outputs())};
  }

  void train_float(const Stage& stage) {
    float_ = std::make_unique<model::Network>(options_.model, task(), options_.seed);
    summary_.parameters = float_->parameter_count();
    train(stage, *float_, options_.train, {}, summary_.float_stage);
  }

  void take_start() {
    summary_.parameters = float_->parameter_count();
    pipeline_.hold("float", *float_);
    describe(*float_, summary_.float_stage);
    summary_.float_stage.done = true;
  }

  void prune_float() {
    const prune::PruneShares shares = prune::prune_points(options_.prune).front();
    pruned_ = std::make_unique<model::Network>(
        prune::prune(*float_, options_.prune, shares, prune::size_of(*float_),
                     score_batches(pipeline_.data().training, options_), pipeline_.pool()));
    summary_.pruned_size = prune::size_of(*pruned_);
    pipeline_.hold("pruned", *pruned_);
    describe(*pruned_, summary_.pruned);
  }

  const model::Network& in_floating_point() const { return pruned_ ? *pruned_ : *float_; }

  std::vector<data::Batch> calibration() const {
    return calibration_batches(pipeline_.data().training, options_);
  }

  void quantize() {
    ptq_ = std::make_unique<model::Network>(in_floating_point());
    ptq_->fold_norms();
    ptq_->quantize(options_.quant, calibration(), pipeline_.pool());
    describe_bits(summary_.ptq);
    pipeline_.hold("ptq", *ptq_);
    describe(*ptq_, summary_.ptq);
  }

  void train_rounded(const Stage& stage) {
    // Batch norms are kept during training, which tolerates high learning rates, and can be folded
    // exactly.
    qat_ = std::make_unique<model::Network>(in_floating_point());
    std::vector<train::QuantStage> formats = qat_stages(options_);
    train::TrainContext context;
    if (options_.qat.target_noise > 0) {
      disturb_as_target(formats);
      context.config["first of simulate.times, the age of the noise in training"] =
          simulate::simulated_times(options_.simulate).front();
    }
    const bool foldable = std::all_of(
        formats.begin(), formats.end(),
        [](const train::QuantStage& one) { return quant::folds_after_rounding(one.quant); });
    if (!foldable) qat_->fold_norms();
    const std::vector<data::Batch> batches = calibration();
    qat_->quantize(formats.front().quant, batches, pipeline_.pool());
    describe_bits(summary_.qat);
    train::TrainOptions options = options_.qat;
    options.validation = options_.train.validation;
    context.teacher = {
        {}, options_.qat.distill, options_.qat.temperature, options_.qat.distill_streams};
    for (const auto& teacher : teachers_) context.teacher.networks.push_back(teacher.get());
    if (teachers_.empty()) context.teacher.networks.push_back(float_.get());
    context.stages = formats;
    context.calibration = batches;
    train(stage, *qat_, options, context, summary_.qat);
  }

  // Weight noise as on a chip that holds the network as rounded before this training.
  void disturb_as_target(std::vector<train::QuantStage>& stages) {
    const double age = simulate::simulated_times(options_.simulate).front();
    const simulate::TargetNoise noise =
        simulate::target_noise(integer::to_integers(*ptq_), options_.target, age, options_.seed);
    const double share = options_.qat.target_noise, most = std::max(noise.device, noise.read);
    if (share * most > 1) {
      fail("options", "qat.target_noise = " + exact_text(share) + " times the target's noise, " +
                          percent(most) + " of the largest weight, exceeds that weight; " +
                          "expected at most " + exact_text(std::floor(100 / most) / 100));
    }
    const double steps = options_.target.crossbar.adc_noise;
    if (options_.quant.array.noise < 0 && share * steps > quant::kMostArrayNoise) {
      fail("options", "qat.target_noise = " + exact_text(share) +
                          " times the noise of the target's converters, " + exact_text(steps) +
                          " steps, expected at most " + exact_text(quant::kMostArrayNoise));
    }
    if (options_.quant.array.noise_floor < 0 && share * noise.floor > 1) {
      fail("options", "qat.target_noise = " + exact_text(share) +
                          " times the absolute noise of the target's converters, " +
                          percent(noise.floor) + " of the current of the largest cell, exceeds it");
    }
    for (train::QuantStage& stage : stages) {
      stage.quant.array = options_.quant.array;  // takes precedence
      simulate::train_for(options_.target.crossbar, noise, share, stage.quant);
    }
    const quant::ArraySite array = quant::resolved(stages.front().quant).array;
    pipeline_.say("noise of the target: " + percent(noise.device) +
                  " of the largest weight by programming, " + percent(noise.read) + " per read, " +
                  percent(array.noise) + " of a step per conversion and " +
                  percent(array.noise_floor) + " of the current of the largest cell");
  }

  void train(const Stage& stage, model::Network& network, const train::TrainOptions& options,
             const train::TrainContext& context, StageSummary& summary) {
    summary.training = pipeline_.train(stage, network, options, context);
    pipeline_.finish(stage.name, network);
    summary.validation_metric = summary.training.best_validation_metric;
    summary.memory = cost::count_memory(network);
  }

  // A network that was not trained in this run.
  void describe(const model::Network& network, StageSummary& summary) const {
    summary.memory = cost::count_memory(network);
    summary.validation_metric = pipeline_.validation_metric(network);
  }

  void describe_bits(StageSummary& stage) const {
    const auto bits = [](int code) { return code > 0 ? code : 32; };
    const quant::QuantOptions quant = quant::resolved(options_.quant);
    stage.weight_bits = bits(quant.weight.bits);
    stage.state_bits = bits(quant.state.bits);
  }

  void test() {
    const auto measure = [&](const std::unique_ptr<model::Network>& network, StageSummary& stage) {
      if (!network || pipeline_.data().test.count == 0) return;
      const train::Tally tally = pipeline_.evaluate(*network, pipeline_.data().test);
      stage.metric = tally.metric();
      stage.sums = tally.sums;
      stage.loss = tally.loss();
    };
    measure(float_, summary_.float_stage);
    measure(pruned_, summary_.pruned);
    measure(ptq_, summary_.ptq);
    measure(qat_, summary_.qat);
  }

  simulate::SimulateSummary chips_of(const integer::IntegerNetwork& network,
                                     const data::Dataset& set, const crossbar::Target& target,
                                     const simulate::SimulateOptions& options) const {
    simulate::SimulateContext context;
    context.stop = context_.stop;
    simulate::SimulateSummary chips =
        simulate::simulate(network, set, target, options, options_.seed, pipeline_.pool(), context);
    if (chips.interrupted) Pipeline::leave();
    return chips;
  }

  void simulate_chips() {
    CrossbarSummary& result = summary_.crossbar;
    const data::Dataset& test = pipeline_.data().test;
    const integer::IntegerNetwork ptq = integer::to_integers(*ptq_),
                                  qat = integer::to_integers(*qat_);
    result.chips = chips_of(qat, test, options_.target, options_.simulate);
    const data::Dataset part =
        data::first(test, static_cast<std::size_t>(options_.sweep.sequences));
    result.sweep_sequences = part.count;
    const device::DeviceOptions& device = options_.target.device;
    const double ratio =
        device.programming_noise > 0 ? device.read_noise / device.programming_noise : 0;
    for (const double level : noise_levels(options_.sweep)) {
      pipeline_.leave_if_stopped();
      pipeline_.say("chips with " + percent(level) + " noise");
      // Only the model gaussian has an adjustable noise; a real chip has its own.
      crossbar::Target target = options_.target;
      target.external = {};
      if (device.model != "gaussian") target.device = {};
      target.device.programming_noise = level;
      target.device.read_noise = std::min(1.0, level * ratio);
      const simulate::SimulateOptions chips = {.chips = options_.sweep.chips};
      result.sweep.push_back(
          {level, chips_of(ptq, part, target, chips), chips_of(qat, part, target, chips)});
    }
  }

  void write_summary() const {
    write_file(pipeline_.file("summary.json"), json_text(to_json(summary_), 2) + '\n');
  }

  const RunOptions& options_;
  const RunContext& context_;
  RunSummary summary_;
  Pipeline pipeline_;
  std::unique_ptr<model::Network> float_, pruned_, ptq_, qat_;
  std::vector<std::unique_ptr<model::Network>> teachers_;  // qat.teacher, if set
};

json stage_json(const StageSummary& stage, const task::Readout& readout) {
  const std::string metric = readout.task->primary().name;
  json out = {{"validation_" + metric, stage.validation_metric},
              {"seconds", stage.seconds},
              {"weight_bits", stage.weight_bits},
              {"state_bits", stage.state_bits},
              {"memory", cost::to_json(stage.memory)}};
  if (!stage.sums.empty()) {
    out.update({{metric, stage.metric}, {"loss", stage.loss}});
    out.update(readout.task->to_json(readout, stage.sums));
  }
  if (!stage.training.epochs.empty()) {
    out["best_epoch"] = stage.training.best_epoch;
    out["epochs"] = stage.training.epochs.size();
    out["samples_per_second"] = stage.training.samples_per_second;
    out["history"] = stage.training.epochs;
  }
  return out;
}

json age_json(const simulate::AgeSummary& age, const task::Readout& readout) {
  const std::string metric = readout.task->primary().name;
  return {{"seconds_since_programming", age.seconds},
          {metric + "_mean", age.mean},
          {metric + "_std", age.deviation},
          {metric + "_worst", age.worst},
          {metric, age.metric}};
}

json crossbar_json(const CrossbarSummary& crossbar) {
  json out = to_json(crossbar.chips);
  out["seconds"] = crossbar.seconds;
  out["sweep"] = json::array();
  for (const NoisePoint& point : crossbar.sweep) {
    out["sweep"].push_back({{"noise", point.noise},
                            {"ptq", age_json(point.ptq.first(), point.ptq.readout)},
                            {"qat", age_json(point.qat.first(), point.qat.readout)}});
  }
  return out;
}

}  // namespace

GivenNetworks read_given_networks(const RunOptions& options) {
  GivenNetworks given;
  if (!options.start.empty()) {
    given.start = read_given_network("run.start", options.start);
    require_same_model(*given.start, options.model);
  }
  if (!options.quantize) return given;
  for (const std::string& file : options.qat.teachers()) {
    given.teachers.push_back(read_given_network("qat.teacher", file));
    if (options.qat.distill_streams > 0) require_same_streams(given.teachers.back(), options.model);
  }
  return given;
}

void require_same_data(const GivenNetworks& given, const model::TaskShape& shape,
                       const inference::Preparation& preparation) {
  if (given.start) require_same_data(*given.start, shape, preparation);
  for (const GivenNetwork& teacher : given.teachers) {
    require_same_data(teacher, shape, preparation);
  }
}

json to_json(const simulate::SimulateSummary& chips) {
  json out = age_json(chips.first(), chips.readout);
  out.erase("seconds_since_programming");
  out["ages"] = json::array();
  for (const simulate::AgeSummary& age : chips.ages)
    out["ages"].push_back(age_json(age, chips.readout));
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
  require_data(options);
  return Run(options, context).run();
}

json to_json(const RunSummary& summary) {
  json out = {{"format", FileFormat("crosstate summary", 1).text()},
              {"parameters", summary.parameters},
              {"test_sequences", summary.test_sequences},
              {"seconds", summary.seconds},
              {"seed", summary.seed},
              {"threads", summary.threads},
              {"data", summary.data},
              {"machine", summary.machine},
              {"config", summary.config}};
  out["notes"] = summary.notes;
  if (summary.float_stage.done) out["float"] = stage_json(summary.float_stage, summary.readout);
  if (summary.pruned.done) {
    out["pruned"] = stage_json(summary.pruned, summary.readout);
    out["pruned"].update({{"states", summary.pruned_size.states},
                          {"stream_channels", summary.pruned_size.stream},
                          {"block_channels", summary.pruned_size.channels},
                          {"parameters", summary.pruned_size.parameters}});
  }
  if (summary.ptq.done) out["ptq"] = stage_json(summary.ptq, summary.readout);
  if (summary.qat.done) out["qat"] = stage_json(summary.qat, summary.readout);
  if (summary.crossbar.done) out["crossbar"] = crossbar_json(summary.crossbar);
  out["weight_bits"] = summary.last().weight_bits;
  out["state_bits"] = summary.last().state_bits;
  return out;
}

}  // namespace crosstate::pipeline
