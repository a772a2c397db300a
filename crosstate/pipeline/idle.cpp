#include "crosstate/pipeline/idle.h"

#include <algorithm>
#include <utility>

namespace crosstate::pipeline {
namespace {

using Idle = std::vector<IdleSettings>;

void append(Idle& to, const Idle& more) { to.insert(to.end(), more.begin(), more.end()); }

// The device settings that the model of the cells does not use.
void add_device(Idle& idle, const device::DeviceOptions& device) {
  const auto is_one_of = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(),
                       [&](const char* name) { return device.model == name; });
  };
  const std::string model = "device.model = \"" + device.model + '"';
  if (is_one_of({"gaussian", "milo"})) idle.push_back({{"device.drift"}, model});
  if (!is_one_of({"pcm", "hermes", "hermes-single", "simple", "rram-cmo"})) {
    idle.push_back({{"device.flicker", "device.fresh", "device.inference_time"}, model});
  } else if (!device.flicker) {
    idle.push_back({{"device.inference_time"}, "device.flicker = false"});
  }
  if (device.temperature == 300) {
    idle.push_back({{"device.activation_energy"}, "device.temperature = 300"});
  }
  if (!device.write_verify) {
    idle.push_back({{"device.max_pulses", "device.pulse_gain", "device.pulse_noise",
                     "device.pulse_energy", "device.verify_energy"},
                    "device.write_verify = false"});
  }
}

void add_crossbar(Idle& idle, const crossbar::Target& target) {
  const crossbar::CrossbarOptions& crossbar = target.crossbar;
  if (crossbar.slices == 1) idle.push_back({{"crossbar.slice_base"}, "crossbar.slices = 1"});
  if (crossbar.driven != crossbar::DrivenRows::kBlocks) {
    idle.push_back({{"crossbar.drive_halvings", "cost.blocks"},
                    "crossbar.driven = \"" + name_of(crossbar.driven) + '"'});
  }
  if (crossbar.recurrence != crossbar::PoleStorage::kIncrement) {
    idle.push_back({{"crossbar.increment_range"},
                    "crossbar.recurrence = \"" + name_of(crossbar.recurrence) + '"'});
  }
  const analog::DigitalBlock digital = crossbar::digital_sites(crossbar).every_block();
  const std::string sites = "crossbar.digital = \"" + crossbar.digital + '"';
  if (digital.states) {
    idle.push_back({{"crossbar.recurrence", "crossbar.increment_range"}, sites});
  }
  if (digital.recurrence()) {
    idle.push_back(
        {{"crossbar.packing", "crossbar.driven", "crossbar.drive_halvings", "cost.blocks"}, sites});
  }
  if (crossbar.compensation == crossbar::Compensation::kNone) {
    idle.push_back({{"crossbar.compensation_inputs"}, "crossbar.compensation = \"none\""});
  }
  if (crossbar.adc_noise_floor == 0 && crossbar.adc_offset_floor == 0 &&
      crossbar.dac_noise_floor == 0) {
    idle.push_back({{"crossbar.read_voltage"}, "no noise or offset in uA or uV"});
  }
  if (crossbar.adc_range != crossbar::AdcRange::kCalibrated) {
    idle.push_back({{"crossbar.adc_margin", "simulate.calibration"},
                    "crossbar.adc_range = \"" + name_of(crossbar.adc_range) + '"'});
  }
  if (crossbar.adc_range != crossbar::AdcRange::kLearned) {
    idle.push_back(
        {{"crossbar.partial_bits"}, "crossbar.adc_range = \"" + name_of(crossbar.adc_range) + '"'});
  }
  if (target.wires.ideal()) {
    idle.push_back({{"crossbar.ir_drop_iterations"}, "wires without resistance"});
  } else if (crossbar.encoding == crossbar::WeightEncoding::kOffset) {
    idle.push_back({{"crossbar.ir_drop_iterations"}, "crossbar.encoding = \"offset\""});
  } else if (crossbar.levels > 1) {
    idle.push_back({{"crossbar.ir_drop_iterations"}, "cells of few levels (crossbar.levels)"});
  }
}

// The sites whose scales are settings.
constexpr std::pair<const char*, quant::WeightSite quant::QuantOptions::*> kWeights[] = {
    {"encoder", &quant::QuantOptions::encoder},
    {"c", &quant::QuantOptions::c},
    {"d", &quant::QuantOptions::d},
    {"weight", &quant::QuantOptions::weight},
    {"decoder", &quant::QuantOptions::decoder}};
constexpr std::pair<const char*, quant::ActivationSite quant::QuantOptions::*> kActivations[] = {
    {"input", &quant::QuantOptions::input},
    {"residual", &quant::QuantOptions::residual},
    {"ssm_output", &quant::QuantOptions::ssm_output},
    {"activation", &quant::QuantOptions::activation},
    {"linear", &quant::QuantOptions::linear}};

// Percentiles of activation sites whose range is chosen in another way.
void add_percentiles(Idle& idle, const quant::QuantOptions& quant) {
  for (const auto& [name, member] : kActivations) {
    const quant::ActivationSite& site = quant.*member;
    if (site.range == quant::ActivationRange::kPercentile) continue;
    const std::string at = std::string("quant.") + name;
    idle.push_back({{at + ".percentile"}, at + ".range = \"" + name_of(site.range) + '"'});
  }
}

// Settings of sites that stay in floating point, and those of all sites of a kind that none of them
// follows. Stages before the last may quantize what is in floating point at the end.
void add_floats(Idle& idle, const RunOptions& options) {
  if (!options.qat.stages.empty()) return;
  const quant::QuantOptions quant = quant::resolved(options.quant);
  const std::vector<quant::SiteBits> sites = quant::bits_of_sites(quant);
  const auto is_float = [](const quant::SiteBits& site) { return site.bits == quant::kFloatBits; };
  for (const quant::SiteBits& site : sites) {
    if (!is_float(site)) continue;
    const std::string at = std::string("quant.") + site.site + '.';
    idle.push_back({{at, '!' + at + "bits"}, at + "bits = 0"});
  }
  if (std::all_of(sites.begin(), sites.end(), is_float)) {
    idle.push_back({{"quant.bias_correction"}, "all sites in floating point"});
  }
  // Whether no quantized site of a kind follows a setting for all of them.
  const auto none = [&](const auto& kind, const auto& follows) {
    return std::none_of(std::begin(kind), std::end(kind), [&](const auto& site) {
      return (quant.*site.second).bits != quant::kFloatBits && follows(site.second);
    });
  };
  if (none(kWeights, [&](auto site) { return !(options.quant.*site).granularity; })) {
    idle.push_back({{"quant.granularity"},
                    "weights of which all are in floating point or have their own granularity"});
  }
  if (none(kWeights, [&](auto site) { return !(options.quant.*site).scales; })) {
    idle.push_back({{"quant.weight_scales"},
                    "weights of which all are in floating point or have their own scales"});
  }
  if (none(kActivations, [&](auto site) { return !(options.quant.*site).scales; })) {
    idle.push_back({{"quant.scales"},
                    "activations of which all are in floating point or have their own scales"});
  }
  if (none(kActivations, [](auto) { return true; })) {
    idle.push_back({{"quant.straight_through"}, "all activations in floating point"});
  }
  if (none(kActivations, [&](auto site) { return (quant.*site).learned; })) {
    idle.push_back({{"quant.range_gradient"}, "no activation with a learned range"});
  }
}

// Assumptions of training about arrays, where they have no effect.
void add_arrays(Idle& idle, const quant::QuantOptions& quant) {
  const quant::ArraySite& array = quant.array;
  const bool units = array.levels > 1 || (quant.noise_unit == quant::NoiseUnit::kLargest &&
                                          (quant.weight_noise > 0 || quant.device_noise > 0));
  if (array.state_noise == 0) {
    idle.push_back({{"quant.array.state_bits"}, "no noise of the conversions of states"});
  }
  if (array.rows == 0 && array.columns == 0) {
    idle.push_back({{"quant.array.partial_bits"}, "quant.array.rows = 0 and columns = 0"});
  }
  if (units) return;
  if (array.noise_floor == 0) {
    idle.push_back({{"quant.array.drive_halvings"},
                    "quant.array.levels = 0, noise_floor = 0 and no noise by quant.noise_unit = "
                    "\"largest\""});
  }
  if (array.noise > 0 || array.state_noise > 0 || array.noise_floor > 0 || array.partial_bits > 0) {
    return;
  }
  idle.push_back({{"quant.array.rows", "quant.array.columns", "quant.array.digital"},
                  "arrays without levels, partial_bits and noise (quant.array)"});
}

// Settings of a quantized state that another one makes irrelevant.
void add_state(Idle& idle, const RunOptions& options) {
  const quant::StateSite state = quant::resolved(options.quant).state;
  if (state.bits == quant::kFloatBits) return;
  append(idle, idle_with_states(quant::rounding_mode(state)));
  if (state.residue_bits == 0) {
    idle.push_back(
        {{"quant.state.residue", "quant.state.residue_margin"}, "quant.state.residue_bits = 0"});
  } else if (state.residue == quant::ResidueRule::kUniform) {
    idle.push_back({{"quant.state.residue_margin"}, "quant.state.residue = \"uniform\""});
  }
}

void add_sites(Idle& idle, const RunOptions& options) {
  add_floats(idle, options);
  add_percentiles(idle, options.quant);
  add_state(idle, options);
}

// Noise on weights in training, by its origin. What cells of the recurrence store also decides the
// units of their drive levels and of the noise of converters.
void add_weight_noise(Idle& idle, const quant::QuantOptions& quant) {
  if (quant.device_noise == 0) idle.push_back({{"quant.chip_steps"}, "quant.device_noise = 0"});
  if (quant.device_noise != 0 || quant.weight_noise != 0) return;
  const std::string why = "quant.weight_noise = 0 and quant.device_noise = 0";
  idle.push_back({{"quant.noise_unit"}, why});
  if (quant.array.levels <= 1 && quant.array.noise_floor <= 0) {
    idle.push_back({{"quant.noise_recurrence"}, why});
  }
}

// The same and arrays; the formats of intermediate stages are unknown here.
void add_noise(Idle& idle, const RunOptions& options) {
  if (!options.qat.stages.empty()) return;
  const quant::QuantOptions quant = quant::resolved(options.quant);
  add_weight_noise(idle, quant);
  add_arrays(idle, quant);
}

void add_model(Idle& idle, const model::ModelOptions& model) {
  if (model.init == model::PoleStart::kReal)
    idle.push_back({{"model.decay"}, "model.init = \"real\""});
  if (model.readout == task::Scope::kStep) {
    idle.push_back({{"model.pooling"}, "model.readout = \"step\", which has no pooling"});
  }
}

void add_patience(Idle& idle, const RunOptions& options, const std::string& section, int epochs) {
  const std::string key = section + ".patience";
  if (options.train.validation == 0 && options.data.validation_speaker.empty()) {
    idle.push_back({{key}, "train.validation = 0"});
  } else if (epochs <= 2) {  // none follows the first one without improvement
    idle.push_back(
        {{key}, "training of " + std::to_string(epochs) + (epochs == 1 ? " epoch" : " epochs")});
  }
}

void add_float_training(Idle& idle, const RunOptions& options) {
  add_patience(idle, options, "train", options.train.epochs);
  if (options.model.norm != model::Norm::kBatch) {
    idle.push_back({{"train.norm_batches"}, "model.norm = \"" + name_of(options.model.norm) + '"'});
  }
}

// What a command does to a network with the settings of [prune], [quant] and [qat].
struct Treatment {
  NetworkKind network;
  bool in_steps = false;         // also prunes networks that it has quantized
  bool penalised = false;        // trains before pruning, in the formats of `network`
  std::string not_rounded = {};  // why [quant] chooses no formats; "" if it does
  std::string not_trained = {};  // why the result of both is not trained; "" if it is
  int epochs = 0;                // of the longest training of the result in its last formats

  bool rounds() const { return not_rounded.empty(); }
  bool trains() const { return not_trained.empty(); }
  bool batch_norm() const { return network.model.norm == model::Norm::kBatch; }
};

// The noise of a network that is already quantized is that of [quant].
quant::QuantOptions with_noise(quant::QuantOptions formats, const quant::QuantOptions& noise) {
  formats.weight_noise = noise.weight_noise;
  formats.device_noise = noise.device_noise;
  formats.noise_unit = noise.noise_unit;
  formats.chip_steps = noise.chip_steps;
  formats.noise_recurrence = noise.noise_recurrence;
  return quant::resolved(formats);
}

// The formats in which the result is rounded, one for each stage.
std::vector<quant::QuantOptions> chosen_formats(const RunOptions& options) {
  std::vector<quant::QuantOptions> formats;
  for (const train::QuantStage& stage : qat_stages(options)) formats.push_back(stage.quant);
  return formats;
}

bool keeps_norms(const std::vector<quant::QuantOptions>& formats) {
  return std::all_of(formats.begin(), formats.end(), quant::folds_after_rounding);
}

bool learns_ranges(const quant::QuantOptions& formats, model::Gate gate) {
  const auto learns = [&](const auto& site) {
    const bool lacks = site.first == std::string("linear") && gate == model::Gate::kNone;
    return !lacks && (formats.*site.second).bits != quant::kFloatBits &&
           (formats.*site.second).learned;
  };
  return std::any_of(std::begin(kWeights), std::end(kWeights), learns) ||
         std::any_of(std::begin(kActivations), std::end(kActivations), learns);
}

void add_prune(Idle& idle, const prune::PruneOptions& prune, const Treatment& work) {
  const std::vector<prune::PruneShares> points = prune::prune_points(prune);
  const auto any = [&](double prune::PruneShares::*share) {
    return std::any_of(points.begin(), points.end(),
                       [&](const prune::PruneShares& point) { return point.*share > 0; });
  };
  const bool states = any(&prune::PruneShares::states),
             channels = any(&prune::PruneShares::channels), removes = states || channels;
  const std::string score = "prune.score = \"" + name_of(prune.score) + '"';
  // Then the steps of all states are measured again.
  const bool measures = prune.score == prune::Score::kHankel &&
                        (work.network.formats || (work.rounds() && work.in_steps));
  if (!states) idle.push_back({{"prune.refit"}, "prune.states = 0"});
  if (!channels) idle.push_back({{"prune.scope"}, "prune.channels = 0"});
  if (!removes && !measures) {
    idle.push_back({{"prune.score"}, "prune.states = 0 and prune.channels = 0"});
  }
  const bool scores = removes && prune.score == prune::Score::kTaylor;
  if (!scores && !measures && !channels && !work.batch_norm()) {
    idle.push_back({{"prune.batches"},
                    (removes ? score : std::string("prune.states = 0")) +
                        ", prune.channels = 0 and no batch norms"});
  }
}

// Noise on weights of a network that is already quantized; scores by gradients draw it, too.
void add_noise_of_quantized(Idle& idle, const RunOptions& options, const Treatment& work) {
  const std::vector<std::string> keys = {"quant.weight_noise", "quant.device_noise",
                                         "quant.noise_unit", "quant.chip_steps",
                                         "quant.noise_recurrence"};
  if (!work.trains() && !work.penalised && options.prune.score != prune::Score::kTaylor) {
    idle.push_back(
        {keys, work.not_trained + " and prune.score = \"" + name_of(options.prune.score) + '"'});
    return;
  }
  add_weight_noise(idle, with_noise(*work.network.formats, options.quant));
}

void add_rounding(Idle& idle, const RunOptions& options, const Treatment& work) {
  append(idle, idle_with_gate(work.network.model.gate));
  if (work.rounds()) {
    add_sites(idle, options);
    if (work.trains() && options.qat.target_noise > 0) {
      idle.push_back(
          {{"quant.weight_noise", "quant.device_noise", "quant.noise_unit",
            "quant.noise_recurrence"},
           "qat.target_noise, which --target sets: the noise of the target replaces it"});
    } else {
      add_noise(idle, options);
    }
    return;
  }
  idle.push_back({{"run.calibration"}, work.not_rounded});
  if (!work.network.formats) {
    idle.push_back({{"quant."}, work.not_rounded});
    return;
  }
  idle.push_back({{"run.quantize"}, work.not_rounded});
  add_noise_of_quantized(idle, options, work);
  idle.push_back({{"quant.", "!quant.weight_noise", "!quant.device_noise", "!quant.noise_unit",
                   "!quant.chip_steps", "!quant.noise_recurrence"},
                  work.not_rounded});
}

// Why the running statistics of batch norms are not those of a training; "" if they are of one.
std::string without_norms(const RunOptions& options, const Treatment& work) {
  if (!work.batch_norm()) {
    return work.network.formats
               ? std::string("a model that is already quantized, without batch norms")
               : "model.norm = \"" + name_of(work.network.model.norm) + '"';
  }
  if (work.penalised || !work.rounds() || keeps_norms(chosen_formats(options))) return "";
  return "weights in quant.weight of one scale per tensor or powers of two, for which batch norms "
         "are folded before training";
}

std::string without_ranges(const RunOptions& options, const Treatment& work) {
  std::vector<quant::QuantOptions> formats;
  if (work.network.formats) {
    formats = {*work.network.formats};
  } else if (work.rounds()) {
    formats = chosen_formats(options);
  } else {
    return work.not_rounded;
  }
  const bool any = std::any_of(formats.begin(), formats.end(), [&](const auto& one) {
    return learns_ranges(one, work.network.model.gate);
  });
  return any ? "" : "formats without learned ranges and scales";
}

// Training by [qat].
void add_training(Idle& idle, const RunOptions& options, const Treatment& work) {
  if (!work.trains() && !work.penalised) {
    idle.push_back({{"qat."}, work.not_trained});
    return;
  }
  if (!work.trains()) {
    idle.push_back({{"qat.epochs"}, work.not_trained + ": training lasts prune.penalty_epochs"});
  }
  add_patience(
      idle, options, "qat",
      std::max(work.trains() ? work.epochs : 0, work.penalised ? options.prune.penalty_epochs : 0));
  if (const std::string why = without_norms(options, work); !why.empty()) {
    idle.push_back({{"qat.norm_batches"}, why});
  }
  if (const std::string why = without_ranges(options, work); !why.empty()) {
    idle.push_back({{"qat.range_rate"}, why});
  }
  if (options.qat.distill == 1) {
    idle.push_back({{"qat.label_smoothing", "qat.class_weights", "qat.class_offsets"},
                    "qat.distill = 1, with which the loss is that of the teacher alone"});
  }
  if (options.qat.distill == 0) {
    idle.push_back({{"qat.temperature"}, "qat.distill = 0"});
    if (options.qat.distill_streams == 0) {
      idle.push_back({{"qat.teacher"}, "qat.distill = 0 and qat.distill_streams = 0"});
    }
  }
}

}  // namespace

// Weight noise applies only to training.
std::vector<std::string> quantize_settings() {
  return {"data.",
          "run.seed",
          "run.calibration",
          "train.validation",
          "quant.",
          "ptq.",
          "!quant.weight_noise",
          "!quant.device_noise",
          "!quant.chip_steps",
          "!quant.noise_unit",
          "!quant.noise_recurrence",
          "!quant.array."};
}

// Shape, front end and order of steps are those of the model, which is also the teacher.
std::vector<std::string> prune_settings() {
  return {"data.",
          "augment.",
          "prune.",
          "quant.",
          "qat.",
          "!qat.teacher",
          "!qat.distill_streams",
          "run.seed",
          "run.quantize",
          "run.calibration",
          "train.validation"};
}

std::vector<std::string> test_data_settings() {
  return {"data.", "!data.train_limit", "!data.validation_speaker"};
}

std::vector<std::string> target_settings() {
  return {"device.", "crossbar.", "wires.", "external."};
}

std::vector<std::string> simulate_settings() {
  std::vector<std::string> keys = test_data_settings();
  for (std::string& key : target_settings()) keys.push_back(std::move(key));
  for (const char* key : {"run.seed", "simulate."}) keys.push_back(key);
  return keys;
}

std::vector<std::string> run_settings() {
  std::vector<std::string> keys = {
      "run.",   "data.", "front_end.", "augment.",    "model.",      "train.",         "prune.",
      "quant.", "qat.",  "simulate.",  "sweep.noise", "sweep.chips", "sweep.sequences"};
  for (const char* key : {"schedule", "steps", "penalty", "penalty_epochs", "retrain", "against"}) {
    keys.push_back(std::string("!prune.") + key);  // the model is already trained
  }
  for (std::string& key : target_settings()) keys.push_back(std::move(key));
  return keys;
}

Idle idle_on_target(const crossbar::Target& target) {
  Idle idle;
  add_device(idle, target.device);
  add_crossbar(idle, target);
  return idle;
}

Idle idle_with_states(kernels::RoundingMode rounding) {
  if (rounding != kernels::RoundingMode::kNoiseShaped) return {};
  return {
      {{"crossbar.increment_range"}, "noise-shaped states, whose increments are always fitted"}};
}

Idle idle_with_gate(model::Gate gate) {
  if (gate != model::Gate::kNone) return {};
  return {{{"quant.linear.", "quant.gate."}, "model.gate = \"none\""}};
}

Idle idle_on_chips(const crossbar::Target& target, const simulate::SimulateOptions&) {
  Idle idle = idle_on_target(target);
  if (target.external.used()) {
    const std::string why = "external.command, which selects a real chip";
    idle.push_back({{"device.", "!device.g_min", "!device.g_max", "wires.",
                     "crossbar.ir_drop_iterations", "crossbar.read_voltage"},
                    why});
  } else {
    idle.push_back({{"external.timeout", "external.voltage"}, "external.command empty"});
  }
  return idle;
}

Idle idle_in_run(const RunOptions& options) {
  Idle idle;
  add_model(idle, options.model);
  add_float_training(idle, options);
  if (!options.start.empty()) {
    idle.push_back({{"train.", "!train.validation"}, "run.start, which is already trained"});
  }
  Treatment work{.network = {options.model}};
  if (options.quantize) {
    work.epochs = qat_stages(options).back().epochs;
  } else {
    work.not_rounded = work.not_trained = "run.quantize = false";
  }
  if (options.prune_float) {
    add_prune(idle, options.prune, work);
  } else {
    idle.push_back({{"prune."}, "run.prune = false"});
  }
  add_rounding(idle, options, work);
  add_training(idle, options, work);
  const bool target_noise = options.quantize && options.qat.target_noise > 0;
  if (options.on_crossbar) {
    append(idle, idle_on_chips(options.target, options.simulate));
    return idle;
  }
  idle.push_back({{"simulate.chips", "simulate.sequences", "simulate.calibration", "sweep.noise",
                   "sweep.chips", "sweep.sequences", "external."},
                  "run.crossbar = false"});
  if (target_noise) {
    append(idle, idle_on_target(options.target));
  } else {
    idle.push_back({{"device.", "crossbar.", "wires.", "simulate.times"},
                    options.quantize ? "run.crossbar = false and qat.target_noise = 0"
                                     : "run.crossbar = false and run.quantize = false"});
  }
  return idle;
}

Idle idle_with_data(const RunOptions& options, data::DataKind kind) {
  Idle idle;
  if (kind != data::DataKind::kSeries) {
    idle.push_back({{"data.channels", "data.targets"},
                    kind == data::DataKind::kImages ? "images; it applies to series"
                                                    : "recordings; it applies to series"});
  }
  if (!options.augment.any()) {
    idle.push_back({{"augment.variants"}, "[augment] without any variation"});
  }
  if (kind != data::DataKind::kImages) {
    idle.push_back({{"augment.image."},
                    kind == data::DataKind::kRecordings ? "recordings; it applies to images"
                                                        : "series; it applies to images"});
  }
  if (kind != data::DataKind::kRecordings) {
    idle.push_back({{"front_end.", "augment.", "!augment.image.", "!augment.variants",
                     "data.layout", "data.test_indices", "data.test_share", "data.test_speaker",
                     "data.validation_speaker", "data.sample_rate", "data.longest"},
                    kind == data::DataKind::kImages ? "images; it applies to recordings"
                                                    : "series; it applies to recordings"});
    return idle;
  }
  const data::DataOptions& data = options.data;
  if (!data.test_speaker.empty()) {
    idle.push_back({{"data.test_indices", "data.test_share"}, "data.test_speaker"});
  }
  if (!data.validation_speaker.empty()) {
    idle.push_back({{"train.validation"}, "data.validation_speaker"});
  }
  if (data.layout == data::RecordingLayout::kNames) {
    idle.push_back({{"data.test_share"}, "data.layout = \"names\""});
  } else if (data.layout == data::RecordingLayout::kFolders) {
    idle.push_back({{"data.test_indices"}, "data.layout = \"folders\""});
  }
  if (options.front_end.kind == data::FrontEndKind::kWaveform) {
    idle.push_back({{"front_end.frame", "front_end.hop", "front_end.bands", "front_end.low",
                     "front_end.high", "front_end.floor", "front_end.deltas"},
                    "front_end.kind = \"waveform\""});
  }
  const data::AugmentOptions& augment = options.augment;
  if (augment.noise == 0) {
    idle.push_back({{"augment.snr_low", "augment.snr_high"}, "augment.noise = 0"});
  }
  if (augment.time_masks == 0) {
    idle.push_back({{"augment.time_mask"}, "augment.time_masks = 0"});
  }
  if (augment.band_masks == 0) {
    idle.push_back({{"augment.band_mask"}, "augment.band_masks = 0"});
  }
  return idle;
}

Idle idle_in_quantize(const RunOptions& options, bool search, bool preset_named) {
  Idle idle;
  add_sites(idle, options);
  if (!search) {
    idle.push_back({{"ptq."},
                    "a format that [quant] names, unless a goal (ptq.loss, ptq.bytes, ptq.front) "
                    "is named, too"});
    return idle;
  }
  if (options.ptq.bytes > 0) {
    idle.push_back({{"ptq.loss"}, "ptq.bytes = " + std::to_string(options.ptq.bytes)});
  }
  idle.push_back(
      {{"quant.bias_correction", "quant.encoder.range", "quant.c.range", "quant.weight.range",
        "quant.decoder.range", "quant.encoder.learned", "quant.c.learned", "quant.d.learned",
        "quant.weight.learned", "quant.decoder.learned"},
       "a search for the format, which chooses biases and scales itself"});
  if (!preset_named && options.quant.a.bits == quant::kPresetBits) {
    idle.push_back({{"quant.a.coding"},
                    "a search for the format, which chooses the coding unless quant.a.bits is "
                    "named"});
  }
  return idle;
}

NetworkKind kind_of(const model::Network& network) {
  NetworkKind kind{network.options()};
  if (network.quantized()) kind.formats = network.quant_options();
  return kind;
}

Idle idle_in_prune(const RunOptions& options, const NetworkKind& network) {
  Idle idle;
  const prune::PruneOptions& prune = options.prune;
  const bool gradual = prune.schedule == prune::PruneSchedule::kGradual;
  const std::string alone = prune.retrain ? "" : "prune.retrain = false";
  Treatment work{.network = network,
                 .in_steps = gradual && prune.retrain,
                 .penalised = prune.penalty > 0,
                 .not_trained = alone};
  if (network.formats) {
    work.not_rounded = "a model that is already quantized";
  } else {
    work.not_rounded = options.quantize ? alone : "run.quantize = false";
  }
  work.epochs = options.qat.epochs;
  if (gradual) work.epochs -= options.qat.epochs / prune.steps * (prune.steps - 1);
  if (!gradual) idle.push_back({{"prune.steps"}, "prune.schedule = \"one-shot\""});
  if (!work.penalised) idle.push_back({{"prune.penalty_epochs"}, "prune.penalty = 0"});
  if (!prune.retrain) {
    idle.push_back({{"prune.schedule", "prune.steps", "run.quantize"}, alone});
    if (!work.penalised) idle.push_back({{"augment."}, alone});
  }
  add_prune(idle, prune, work);
  add_rounding(idle, options, work);
  add_training(idle, options, work);
  // Biases are corrected when a network is rounded, which here still has its batch norms.
  if (work.rounds() && work.batch_norm() && keeps_norms(chosen_formats(options))) {
    idle.push_back({{"quant.bias_correction"}, "batch norms, which are folded after training"});
  }
  return idle;
}

std::string idle_reason(std::string_view key, const Idle& idle) {
  for (const IdleSettings& settings : idle) {
    if (selects(settings.keys, key)) return settings.why;
  }
  return "";
}

std::string idle_reason_in_run(std::string_view key, const RunOptions& options,
                               const std::function<data::DataKind()>& kind) {
  std::string why = idle_reason(key, idle_in_run(options));
  if (!why.empty()) return why;
  const auto with = [&](data::DataKind data) {
    return idle_reason(key, idle_with_data(options, data));
  };
  why = with(data::DataKind::kImages);
  const bool any = why == with(data::DataKind::kRecordings) && why == with(data::DataKind::kSeries);
  return any ? why : with(kind());
}

std::string idle_reason_in_prune(std::string_view key, const RunOptions& options,
                                 const std::vector<NetworkKind>& networks) {
  std::string first;
  for (const NetworkKind& network : networks) {
    const std::string why = idle_reason(key, idle_in_prune(options, network));
    if (why.empty()) return "";
    if (first.empty()) first = why;
  }
  return first;
}

}  // namespace crosstate::pipeline
