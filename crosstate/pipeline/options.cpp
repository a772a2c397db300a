#include "crosstate/pipeline/options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/integer/convert.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate::pipeline {
namespace {

// All fields of a training stage except one.
void add_stage_fields(FieldList& list, const std::string& section, train::TrainOptions& options,
                      const std::string& except) {
  FieldList stage;
  train::fields(stage, section, options);
  list.section(section);
  for (const Field& field : stage.all()) {
    const std::string name = field.key.substr(field.key.find('.') + 1);
    if (name != except) list.add_like(field, name);
  }
}

// Both stages must hold out the same share of sequences, otherwise the second would validate on
// training data of the first.
void add_qat_fields(FieldList& list, QatOptions& options) {
  add_stage_fields(list, "qat", options, "validation");
  list.add("distill", options.distill,
           "Share of the loss that compares with the float network instead of the labels "
           "(distillation); around 0.5 for few bits.")
      .range(0, 1);
  list.add("teacher", options.teacher,
           "Teacher of qat.distill: float.safetensors of another run on the same data, which may "
           "be larger; several, separated by colons, teach the mean of their outputs; empty: the "
           "float network of this run.");
  list.add("temperature", options.temperature,
           "Temperature of both distributions that qat.distill compares; higher for more confident "
           "teachers.")
      .range(0.1, 100);
  list.add("distill_streams", options.distill_streams,
           "Weight in the loss of the squared differences between the residual streams after the "
           "blocks and those of the float network, relative to their mean square; the teacher must "
           "have the same numbers of channels and layers. 0: none.")
      .range(0, 1000);
  list.add("stages", options.stages,
           "Intermediate formats before those of [quant], as PRESET:EPOCHS separated by spaces: "
           "\"w8a0s0:2 w8a8s0:2 w8a8s8\" or \"w8a8s8:4 w4a8s8:4 w2a8s8\"; the last one gets the "
           "remaining qat.epochs; empty: only [quant].");
  list.add("target_noise", options.target_noise,
           "Weight noise in training, relative to that of a chip of [device], [crossbar] and "
           "[wires] at the first of simulate.times; 0: noise of [quant]; --target sets 1.")
      .range(0, 100);
}

// Errors that mapping would otherwise report after all training; `why`: the setting that requires a
// mapping.
void validate_mapping(const RunOptions& options, const std::string& why) {
  const quant::QuantOptions quant = quant::resolved(options.quant);
  const std::string site = site_without_codes(options);
  if (!site.empty()) fail("options", site + ", expected codes with " + why);
  if (quant.state.rounding != quant::StateRounding::kNearest) {
    fail("options", "quant.state.rounding = \"" + name_of(quant.state.rounding) +
                        "\", expected nearest with " + why);
  }
}

// Within a run, one network is pruned once.
void validate_pruning(const RunOptions& options) {
  if (prune::prune_points(options.prune).size() > 1) {
    fail("options", "prune.states = \"" + options.prune.states + "\" and prune.channels = \"" +
                        options.prune.channels +
                        "\", expected one share each with run.prune = true");
  }
  if (options.prune.schedule != prune::PruneSchedule::kOneShot || options.prune.penalty > 0) {
    fail("options",
         "prune.schedule = \"gradual\" and prune.penalty need a model that is already trained; "
         "expected \"one-shot\" and 0 with run.prune = true, or the command prune");
  }
}

}  // namespace

std::string site_without_codes(const RunOptions& options) {
  const std::string found = integer::site_in_floating_point(
      quant::resolved(options.quant), options.model.gate != model::Gate::kNone);
  for (const quant::SiteBits& named : quant::bits_of_sites(options.quant)) {
    if (named.bits != quant::kPresetBits) continue;
    if (found == std::string("quant.") + named.site + ".bits = 0") {
      return found + " by quant.preset = \"" + excerpt(options.quant.preset) + '"';
    }
  }
  return found;
}

QatOptions::QatOptions() {
  epochs = 10;
  learning_rate = 0.003;
  norm_batches = 16;
}

FieldList RunOptions::fields() {
  FieldList list;
  list.section("run");
  list.add("seed", seed, "Seed of all random numbers; vary it to see the spread of results.")
      .range(0, 9e18);
  list.add("start", start,
           "Start from this float model of the same data and [model] (float.safetensors of another "
           "run) instead of training one; empty: train.");
  list.add("quantize", quantize,
           "Quantize after float training, and run quantization-aware training.");
  list.add("prune", prune_float, "Prune by [prune] between float training and quantization.");
  list.add("crossbar", on_crossbar, "Simulate the quantized network on memristive crossbars.");
  list.add("calibration", calibration,
           "Number of training sequences from which quantization ranges are chosen.")
      .in("sequences")
      .range(1, 1000000);
  data::fields(list, data);
  data::fields(list, front_end);
  data::fields(list, augment);
  model::fields(list, model);
  add_stage_fields(list, "train", train, "range_rate");  // of quantizers
  prune::fields(list, prune);
  quant::fields(list, quant);
  ptq::fields(list, ptq);
  add_qat_fields(list, qat);
  crossbar::fields(list, target);
  simulate::fields(list, simulate);
  list.section("sweep");
  list.add("noise", sweep.noise,
           "Programming noise of the points, ascending, separated by spaces; read noise keeps its "
           "ratio to it.");
  list.add("chips", sweep.chips, "Chips per point; more give narrower error bars.")
      .range(1, 100000);
  list.add("sequences", sweep.sequences, "Use only the first test sequences; 0: all.")
      .in("sequences")
      .range(0, 1e9);
  return list;
}

std::vector<double> noise_levels(const SweepOptions& options) {
  std::vector<double> levels;
  std::vector<std::string_view> words;
  split_numbers(options.noise, words);
  for (const std::string_view word : words) {
    const std::optional<double> level = read_number<double>(word).value;
    const bool ascends = level && (levels.empty() || *level > levels.back());
    if (!ascends || *level < 0 || *level > 1) {
      fail("options", "sweep.noise = \"" + excerpt(options.noise) +
                          "\", expected ascending numbers from 0 to 1, such as \"0 0.02 0.1\"");
    }
    levels.push_back(*level);
  }
  return levels;
}

void validate(const RunOptions& options) {
  RunOptions copy = options;
  FieldList list = copy.fields();
  list.from_json(list.to_json(), "options");
  for (const char* section : {"data", "front_end", "augment", "model", "train", "prune", "quant",
                              "qat", "device", "simulate", "sweep"}) {
    validate_section(options, section);
  }
  validate_together(options);
}

void validate_section(const RunOptions& options, const std::string& section) {
  if (section == "data") {
    data::validate(options.data);
  } else if (section == "front_end") {
    data::validate(options.front_end);
  } else if (section == "augment") {
    data::validate(options.augment);
  } else if (section == "model") {
    model::validate(options.model);
  } else if (section == "train") {
    train::validate(options.train, "train");
  } else if (section == "prune") {
    prune::validate(options.prune);
  } else if (section == "quant") {
    quant::validate(options.quant);
  } else if (section == "qat") {
    train::validate(options.qat, "qat");
  } else if (section == "device" || section == "crossbar" || section == "wires" ||
             section == "external") {
    crossbar::validate(options.target);
  } else if (section == "simulate") {
    simulate::validate(options.simulate);
  } else if (section == "sweep") {
    noise_levels(options.sweep);
  }
}

void validate_together(const RunOptions& options) {
  data::validate(options.augment, options.front_end);
  qat_stages(options);
  if (options.quantize && options.model.norm == model::Norm::kLayer) {
    fail("options",
         "model.norm = \"layer\" cannot be folded into the weights, which run.quantize requires; "
         "expected \"batch\" or \"none\"");
  }
  if (options.on_crossbar) {
    if (!options.quantize) {
      fail("options",
           "run.crossbar = true requires a quantized network, expected run.quantize = true");
    }
    validate_mapping(options, "run.crossbar = true");
    simulate::require_possible(options.target, options.simulate);
  }
  if (options.quantize && options.qat.target_noise > 0) {
    validate_mapping(options, "qat.target_noise above 0, which --target sets");
    simulate::require_first_age(options.target, options.simulate);
    const double conversions = options.target.crossbar.adc_noise;
    if (options.quant.array.noise < 0 &&
        options.qat.target_noise * conversions > quant::kMostArrayNoise) {
      fail("options", "qat.target_noise = " + exact_text(options.qat.target_noise) +
                          " times crossbar.adc_noise = " + exact_text(conversions) +
                          ", expected at most " + exact_text(quant::kMostArrayNoise) + " steps");
    }
  }
  if (options.prune_float) validate_pruning(options);
  if (options.quantize && options.prune_float && options.qat.distill_streams > 0) {
    fail("options", "qat.distill_streams = " + exact_text(options.qat.distill_streams) +
                        " needs a teacher of the same channels, expected 0 with run.prune = true");
  }
  const std::size_t teachers = options.qat.teachers().size();
  if (options.quantize && options.qat.distill_streams > 0 && teachers > 1) {
    fail("options", "qat.distill_streams = " + exact_text(options.qat.distill_streams) +
                        " needs one teacher, expected 0 with " + std::to_string(teachers) +
                        " in qat.teacher");
  }
}

std::vector<std::string> QatOptions::teachers() const {
  std::vector<std::string> files;
  if (teacher.empty()) return files;
  for (std::size_t start = 0, end; start <= teacher.size(); start = end + 1) {
    end = std::min(teacher.find(':', start), teacher.size());
    files.push_back(teacher.substr(start, end - start));
    if (files.back().empty()) {
      fail("options", "qat.teacher = \"" + teacher +
                          "\", expected names of files, separated by single colons");
    }
  }
  return files;
}

RunOptions demo_options() {
  RunOptions options;
  options.on_crossbar = true;
  options.model.dt_min = 0.003;
  options.train.epochs = 12;
  options.quant.weight_noise = 0.02;
  options.qat.epochs = 28;
  options.qat.learning_rate = 0.01;
  options.qat.range_rate = 0.003;
  options.qat.average = 0.98;
  options.sweep.noise = "0 0.02 0.05";
  return options;
}

}  // namespace crosstate::pipeline
