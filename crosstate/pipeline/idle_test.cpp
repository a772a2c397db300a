#include "crosstate/pipeline/idle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iomanip>
#include <sstream>

#include "crosstate/base/error.h"

namespace crosstate::pipeline {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

NetworkKind float_network(model::Norm norm = model::Norm::kBatch) {
  NetworkKind network;
  network.model.norm = norm;
  return network;
}

// Batch norms are folded.
NetworkKind quantized_network(const std::string& preset = "w8a8s8") {
  NetworkKind network = float_network(model::Norm::kNone);
  network.formats = quant::quant_preset(preset);
  return network;
}

// Options with settings, separated by spaces; one with spaces is in quotes.
RunOptions with(const std::string& settings) {
  RunOptions options;
  FieldList list = options.fields();
  std::istringstream words(settings);
  for (std::string word; words >> std::quoted(word);) list.set(word);
  return options;
}

// Keys and, for each, a part of the reason; "" where it has an effect.
struct IdleCase {
  std::string settings;
  std::vector<std::string> keys;
  std::string why;
};

std::string reason(const std::string& key, const RunOptions& options, bool recordings = false) {
  return idle_reason_in_run(key, options, [=] {
    return recordings ? data::DataKind::kRecordings : data::DataKind::kImages;
  });
}

TEST(Idle, KeysExist) {
  RunOptions options;
  FieldList list = options.fields();
  EXPECT_NO_THROW(list.use_only(run_settings(), ""));
  EXPECT_NO_THROW(list.use_only(test_data_settings(), ""));
  EXPECT_NO_THROW(list.use_only(target_settings(), ""));
  const auto expect_known = [&](const std::vector<IdleSettings>& idle) {
    for (const IdleSettings& settings : idle) EXPECT_NO_THROW(list.use_only(settings.keys, ""));
  };
  for (const bool on : {false, true}) {
    options.prune_float = options.on_crossbar = on;
    options.quantize = true;
    options.qat.target_noise = on ? 1 : 0;
    options.start = on ? "x" : "";
    options.quant.state.bits = on ? 0 : 8;
    options.target.external.command = on ? "x" : "";
    options.front_end.kind = on ? data::FrontEndKind::kWaveform : data::FrontEndKind::kLogMel;
    expect_known(idle_in_run(options));
    for (const data::DataKind kind :
         {data::DataKind::kImages, data::DataKind::kRecordings, data::DataKind::kSeries}) {
      expect_known(idle_with_data(options, kind));
    }
    expect_known(idle_in_quantize(options, true, on));
    expect_known(idle_in_quantize(options, false, on));
    expect_known(idle_in_prune(options, on ? quantized_network() : float_network()));
    options.quantize = on;
    expect_known(idle_in_run(options));
  }
}

TEST(Idle, WhatASearchForAFormatChooses) {
  RunOptions options;
  const auto why = [&](const std::string& key, bool search, bool preset_named) {
    return idle_reason(key, idle_in_quantize(options, search, preset_named));
  };
  for (const char* site : {"encoder", "c", "d", "weight", "decoder"}) {
    const std::string key = std::string("quant.") + site + ".learned";
    EXPECT_NE(why(key, true, true), "") << key;
    EXPECT_EQ(why(key, false, false), "") << key;  // stored for a later training
  }
  EXPECT_NE(why("quant.a.coding", true, false).find("quant.a.bits"), std::string::npos);
  EXPECT_EQ(why("quant.a.coding", true, true), "");
  EXPECT_EQ(why("quant.a.coding", false, false), "");
  options.quant.a.bits = 6;
  EXPECT_EQ(why("quant.a.coding", true, false), "");
}

TEST(Idle, NothingIsThatDecides) {
  RunOptions options;
  for (const char* key : {"run.seed", "model.channels", "train.epochs", "quant.preset",
                          "quant.weight_noise", "qat.epochs", "data.train_limit"}) {
    EXPECT_EQ(reason(key, options), "") << key;
  }
  options.on_crossbar = options.prune_float = true;
  options.qat.distill = 0.5;
  options.quant.device_noise = 0.1;
  options.train.patience = 3;
  options.target.device.write_verify = true;
  for (const char* key :
       {"prune.states", "simulate.chips", "sweep.noise", "device.read_noise", "crossbar.rows",
        "wires.segment", "qat.temperature", "qat.teacher", "quant.chip_steps", "quant.noise_unit",
        "qat.patience", "device.max_pulses", "external.command"}) {
    EXPECT_EQ(reason(key, options), "") << key;
  }
  for (const char* key :
       {"front_end.bands", "front_end.arithmetic", "augment.gain", "data.test_indices"}) {
    EXPECT_EQ(reason(key, options, true), "") << key;
    EXPECT_NE(reason(key, options, false), "") << key;
  }
  EXPECT_EQ(reason("augment.image.shift", options, false), "");
  EXPECT_EQ(reason("augment.image.shift", options, true), "recordings; it applies to images");
  options.augment.image.shift = 1;
  EXPECT_EQ(reason("augment.variants", options, false), "");
}

TEST(Idle, ResiduesThatTheStateLacks) {
  RunOptions options;
  const auto expect_idle = [&](bool rule, bool margin) {
    EXPECT_EQ(!reason("quant.state.residue", options).empty(), rule);
    EXPECT_EQ(!reason("quant.state.residue_margin", options).empty(), margin);
    EXPECT_EQ(reason("quant.state.residue_bits", options), "");
  };
  expect_idle(true, true);
  options.quant.state.residue_bits = 4;
  expect_idle(false, true);
  options.quant.state.residue = quant::ResidueRule::kByPole;
  expect_idle(false, false);
}

TEST(Idle, WhatStatesInFloatingPointLack) {
  const char* keys[] = {"quant.state.residue_bits", "quant.state.residue",
                        "quant.state.residue_margin", "quant.state.rounding"};
  RunOptions options;
  options.on_crossbar = true;
  options.quant.preset = "w8a8s0";
  options.quant.state.residue_bits = 4;
  options.quant.state.residue = quant::ResidueRule::kByPole;
  for (const char* key : keys) {
    EXPECT_EQ(reason(key, options), "quant.state.bits = 0") << key;
    EXPECT_EQ(idle_reason(key, idle_in_quantize(options, false, true)), "quant.state.bits = 0")
        << key;
    EXPECT_EQ(idle_reason(key, idle_in_prune(options, float_network())), "quant.state.bits = 0")
        << key;
  }
  EXPECT_EQ(reason("crossbar.increment_range", options), "");
  EXPECT_EQ(reason("quant.state.bits", options), "");
  // An earlier stage has a state of 8 bits.
  options.qat.stages = "w8a8s8:1 w8a8s0";
  for (const char* key : keys) EXPECT_EQ(reason(key, options), "") << key;
  options.qat.stages = "";
  options.quant.state.bits = 8;
  for (const char* key : keys) EXPECT_EQ(reason(key, options), "") << key;
}

TEST(Idle, SettingsOfSitesInFloatingPoint) {
  RunOptions options;
  FieldList list = options.fields();
  const auto in_all = [&](const std::string& key) {
    const std::string why = reason(key, options);
    EXPECT_EQ(idle_reason(key, idle_in_quantize(options, false, true)), why) << key;
    EXPECT_EQ(idle_reason(key, idle_in_prune(options, float_network())), why) << key;
    return why;
  };
  // By a setting of the site, and by the preset.
  const std::pair<const char*, std::vector<std::string>> sites[] = {
      {"encoder", {"granularity", "scales", "range", "learned"}},
      {"c", {"granularity", "scales", "range", "learned"}},
      {"d", {"granularity", "scales", "range", "learned"}},
      {"weight", {"granularity", "scales", "range", "learned"}},
      {"decoder", {"granularity", "scales", "range", "learned"}},
      {"a", {"coding"}},
      {"input", {"codes", "scales", "range", "learned"}},
      {"residual", {"scales", "range", "learned"}},
      {"ssm_output", {"scales", "range", "learned"}},
      {"activation", {"codes", "scales", "range", "learned"}},
      {"linear", {"scales", "range", "learned"}}};
  for (const auto& [site, settings] : sites) {
    const std::string at = std::string("quant.") + site + '.';
    for (const std::string& setting : settings) EXPECT_EQ(in_all(at + setting), "") << at + setting;
    list.set(at + "bits=0");
    for (const std::string& setting : settings) EXPECT_EQ(in_all(at + setting), at + "bits = 0");
    EXPECT_EQ(in_all(at + "bits"), "");
    list.set(at + "bits=-1");
  }
  options.quant.preset = "w0a8s8";
  EXPECT_EQ(in_all("quant.a.coding"), "quant.a.bits = 0");
  EXPECT_EQ(in_all("quant.input.range"), "");
  options.quant.a.bits = 6;
  EXPECT_EQ(in_all("quant.a.coding"), "");
  // An earlier stage quantizes the weights.
  options.quant.a.bits = quant::kPresetBits;
  options.qat.stages = "w8a8s8:1 w0a8s8";
  EXPECT_EQ(reason("quant.weight.range", options), "");
}

TEST(Idle, SettingsOfAllSitesThatNoneFollows) {
  RunOptions options;
  const std::vector<std::string> weights = {"quant.granularity", "quant.weight_scales"},
                                 activations = {"quant.scales", "quant.straight_through",
                                                "quant.range_gradient"};
  const auto expect_idle = [&](const std::vector<std::string>& keys, bool idle) {
    for (const std::string& key : keys) EXPECT_EQ(reason(key, options) != "", idle) << key;
  };
  expect_idle(weights, false);
  expect_idle(activations, false);
  options.quant.preset = "w0a8s8";
  expect_idle(weights, true);
  expect_idle(activations, false);
  options.quant.preset = "w8a0s8";
  expect_idle(weights, false);
  expect_idle(activations, true);
  EXPECT_EQ(reason("quant.bias_correction", options), "");
  options.quant.preset = "float";
  EXPECT_NE(reason("quant.bias_correction", options), "");
  options = RunOptions();
  for (quant::ActivationSite quant::QuantOptions::*site :
       {&quant::QuantOptions::input, &quant::QuantOptions::residual,
        &quant::QuantOptions::ssm_output, &quant::QuantOptions::activation,
        &quant::QuantOptions::linear}) {
    (options.quant.*site).learned = false;
  }
  expect_idle({"quant.range_gradient"}, true);
  expect_idle({"quant.scales", "quant.straight_through"}, false);
}

TEST(Idle, SitesOfGatesThatTheModelLacks) {
  RunOptions options;
  const std::vector<std::string> keys = {"quant.gate.bits", "quant.linear.bits",
                                         "quant.linear.range"};
  for (const std::string& key : keys) EXPECT_EQ(reason(key, options), "") << key;
  options.model.gate = model::Gate::kNone;
  for (const std::string& key : keys) {
    EXPECT_EQ(reason(key, options), "model.gate = \"none\"") << key;
    EXPECT_EQ(idle_reason(key, idle_with_gate(model::Gate::kSigmoid)), "") << key;
  }
}

TEST(Idle, WhatTrainingAssumesOfArrays) {
  RunOptions options;
  const std::vector<std::string> keys = {"quant.array.rows", "quant.array.partial_bits",
                                         "quant.array.drive_halvings", "quant.array.state_bits"};
  for (const std::string& key : keys) EXPECT_NE(reason(key, options), "") << key;
  for (const char* key : {"quant.array.levels", "quant.array.noise"}) {
    EXPECT_EQ(reason(key, options), "") << key;
  }
  options.quant.array.rows = 8;
  options.quant.array.partial_bits = 6;
  EXPECT_EQ(reason("quant.array.rows", options), "");
  EXPECT_EQ(reason("quant.array.partial_bits", options), "");
  options.quant.array.levels = 16;
  EXPECT_EQ(reason("quant.array.drive_halvings", options), "");
  options.quant.array.noise = 0.5;
  EXPECT_EQ(reason("quant.array.state_bits", options), "");
  options = RunOptions();
  options.quant.array.noise_floor = 0.02;
  for (const char* key : {"quant.array.rows", "quant.array.drive_halvings"}) {
    EXPECT_EQ(reason(key, options), "") << key;
  }
  options = RunOptions();
  options.quant.preset = "analog-64x64";
  for (const char* key :
       {"quant.array.rows", "quant.array.partial_bits", "quant.array.state_bits"}) {
    EXPECT_EQ(reason(key, options), "") << key;
  }
}

TEST(Idle, PoolingOfNetworksThatAreReadAtEveryStep) {
  RunOptions options;
  EXPECT_EQ(reason("model.pooling", options), "");
  options.model.readout = task::Scope::kStep;
  EXPECT_EQ(reason("model.pooling", options), "model.readout = \"step\", which has no pooling");
  EXPECT_EQ(reason("model.readout", options), "");
}

TEST(Idle, WhatConvertersAndLevelsDecide) {
  crossbar::Target target;
  target.wires.segment = 1;
  EXPECT_EQ(idle_reason("crossbar.ir_drop_iterations", idle_on_target(target)), "");
  EXPECT_EQ(idle_reason("crossbar.partial_bits", idle_on_target(target)), "");
  target.crossbar.levels = 16;
  EXPECT_NE(idle_reason("crossbar.ir_drop_iterations", idle_on_target(target)), "");
  const auto reason_with = [&](const std::string& digital, const std::string& key) {
    target.crossbar.digital = digital;
    return idle_reason(key, idle_on_target(target));
  };
  EXPECT_EQ(reason_with("A.0, C", "crossbar.recurrence"), "");
  EXPECT_EQ(reason_with("A, C.0", "crossbar.recurrence"), "crossbar.digital = \"A, C.0\"");
  EXPECT_EQ(reason_with("A, C.0", "crossbar.driven"), "");
  EXPECT_NE(reason_with("A, C", "crossbar.driven"), "");
  EXPECT_EQ(reason_with("", "crossbar.driven"), "");
  for (const crossbar::AdcRange range :
       {crossbar::AdcRange::kFixed, crossbar::AdcRange::kCalibrated}) {
    target.crossbar.adc_range = range;
    EXPECT_NE(idle_reason("crossbar.partial_bits", idle_on_target(target)), "") << name_of(range);
  }
}

TEST(Idle, WhatNoiseShapedStatesDecide) {
  using kernels::RoundingMode;
  const char* key = "crossbar.increment_range";
  EXPECT_EQ(idle_reason(key, idle_with_states(RoundingMode::kNearest)), "");
  EXPECT_NE(idle_reason(key, idle_with_states(RoundingMode::kNoiseShaped)), "");
  RunOptions options;
  options.on_crossbar = true;
  EXPECT_EQ(reason(key, options), "");
  options.quant.state.residue_bits = 4;
  EXPECT_NE(reason(key, options), "");
  options.quant.state.bits = 0;
  EXPECT_EQ(reason(key, options), "");
}

TEST(Idle, WhatTrainingForATargetUses) {
  RunOptions options;
  options.qat.target_noise = 1;
  EXPECT_EQ(reason("device.read_noise", options), "");
  EXPECT_EQ(reason("simulate.times", options), "");
  EXPECT_EQ(reason("simulate.chips", options), "run.crossbar = false");
  EXPECT_NE(reason("quant.weight_noise", options), "");
  options.quantize = false;
  EXPECT_NE(reason("device.read_noise", options), "");
}

TEST(Idle, KeysOfTheOtherStageAreUnknown) {
  RunOptions options;
  FieldList list = options.fields();
  for (const char* key : {"train.range_rate", "qat.validation"}) {
    EXPECT_THAT([&] { list.set(std::string(key) + "=0"); },
                ThrowsMessage<Error>(HasSubstr("unknown key")))
        << key;
  }
  EXPECT_NO_THROW(list.set("qat.range_rate=0"));
}

TEST(Idle, WhatTrainingOfTheNetworkUses) {
  const std::string fixed =
      "quant.input.learned=false quant.residual.learned=false quant.ssm_output.learned=false "
      "quant.activation.learned=false ";
  for (const IdleCase& c : std::vector<IdleCase>{
           {"", {"qat.range_rate", "qat.norm_batches", "qat.patience", "train.patience"}, ""},
           {"quant.preset=w4a0s8", {"qat.range_rate"}, "learned ranges"},
           {"quant.preset=w4a0s8 quant.c.learned=true", {"qat.range_rate"}, ""},
           {"quant.preset=w0a0s8 quant.c.learned=true", {"qat.range_rate"}, "learned ranges"},
           {"quant.preset=w4a0s8 \"qat.stages=w4a8s8:2 w4a0s8\"", {"qat.range_rate"}, ""},
           {fixed, {"qat.range_rate"}, ""},
           {fixed + "model.gate=none", {"qat.range_rate"}, "learned ranges"},
           {fixed + "quant.linear.learned=false", {"qat.range_rate"}, "learned ranges"},
           {"model.norm=none", {"qat.norm_batches", "train.norm_batches"}, "model.norm = \"none\""},
           {"quant.weight_scales=pow2", {"qat.norm_batches"}, "folded before"},
           {"quant.weight_scales=pow2", {"train.norm_batches", "quant.bias_correction"}, ""},
           {"quant.weight.granularity=tensor", {"qat.norm_batches"}, "folded before"},
           {"qat.distill=1",
            {"qat.label_smoothing", "qat.class_weights", "qat.class_offsets"},
            "qat.distill = 1"},
           {"qat.distill=0.9",
            {"qat.label_smoothing", "qat.class_weights", "qat.class_offsets"},
            ""},
           {"qat.epochs=3 train.epochs=3", {"qat.patience", "train.patience"}, ""},
           {"qat.epochs=2 train.epochs=1", {"qat.patience", "train.patience"}, "training of"},
           {"train.validation=0", {"qat.patience", "train.patience"}, "train.validation = 0"},
           {"run.quantize=false", {"qat.range_rate", "quant.noise_unit"}, "run.quantize = false"},
           {"run.prune=true", {"prune.refit", "prune.scope", "prune.score", "prune.batches"}, ""},
           {"run.prune=true prune.states=0", {"prune.refit"}, "prune.states = 0"},
           {"run.prune=true prune.channels=0", {"prune.scope"}, "prune.channels = 0"},
           {"run.prune=true prune.states=0 prune.channels=0", {"prune.score"}, "prune.states = 0"},
           // Batches also tell the means of removed channels and the statistics of batch norms.
           {"run.prune=true prune.score=last", {"prune.batches"}, ""},
           {"run.prune=true prune.score=last prune.channels=0", {"prune.batches"}, ""},
           {"run.prune=true prune.score=last prune.channels=0 model.norm=none",
            {"prune.batches"},
            "prune.score = \"last\""}}) {
    const RunOptions options = with(c.settings);
    for (const std::string& key : c.keys) {
      const std::string why = reason(key, options);
      EXPECT_THAT(why, HasSubstr(c.why)) << c.settings << ": " << key;
      EXPECT_EQ(why.empty(), c.why.empty()) << c.settings << ": " << key << ": " << why;
    }
  }
}

TEST(Idle, WhatPruningOfTheNetworkUses) {
  const std::vector<std::string> noise = {"quant.weight_noise", "quant.device_noise"},
                                 units = {"quant.noise_unit", "quant.noise_recurrence"},
                                 arrays = {"quant.array.rows", "quant.array.digital",
                                           "quant.array.drive_halvings"},
                                 all_noise = {"quant.weight_noise", "quant.device_noise",
                                              "quant.noise_unit", "quant.chip_steps",
                                              "quant.noise_recurrence"};
  const std::string alone = "prune.retrain=false ", both = "prune.states=0 prune.channels=0 ";
  struct Case : IdleCase {
    NetworkKind network;
  };
  const NetworkKind floats = float_network(), quantized = quantized_network();
  for (const Case& c : std::vector<Case>{
           {{"", {"qat.range_rate", "qat.norm_batches", "quant.preset", "run.calibration"}, ""},
            floats},
           {{"", {"qat.range_rate", "qat.epochs", "prune.batches"}, ""}, quantized},
           {{"", {"qat.range_rate"}, "learned ranges"}, quantized_network("w8a0s8")},
           {{"run.quantize=false", {"qat.range_rate"}, "run.quantize = false"}, floats},
           {{"run.quantize=false", {"qat.norm_batches"}, ""}, floats},
           {{"", {"qat.norm_batches"}, "already quantized"}, quantized},
           {{"", {"qat.norm_batches"}, "model.norm"}, float_network(model::Norm::kNone)},
           {{"quant.weight_scales=pow2", {"qat.norm_batches"}, "folded before"}, floats},
           {{"quant.weight_scales=pow2 prune.penalty=0.1", {"qat.norm_batches"}, ""}, floats},
           {{"quant.weight_scales=pow2", {"quant.bias_correction"}, ""}, floats},
           {{"", {"quant.bias_correction"}, "batch norms"}, floats},
           {{"", {"quant.bias_correction"}, ""}, float_network(model::Norm::kNone)},
           {{"", noise, ""}, floats},
           {{"", noise, ""}, quantized},
           {{"", units, "quant.weight_noise = 0"}, floats},
           {{"", units, "quant.weight_noise = 0"}, quantized},
           {{"", units, ""}, quantized_network("analog-64x64")},
           {{"quant.array.levels=4 quant.array.rows=8", {"quant.noise_recurrence"}, ""}, floats},
           {{"quant.array.noise_floor=0.1", {"quant.noise_recurrence"}, ""}, floats},
           {{"quant.array.rows=8", units, "quant.weight_noise = 0"}, floats},
           {{"quant.weight_noise=0.1", units, ""}, floats},
           {{"quant.weight_noise=0.1", units, ""}, quantized},
           {{"", {"quant.chip_steps"}, "quant.device_noise = 0"}, quantized},
           {{"run.quantize=false", all_noise, "run.quantize = false"}, floats},
           {{"", arrays, "quant.array"}, floats},
           {{"quant.array.levels=16", {"quant.array.rows", "quant.array.drive_halvings"}, ""},
            floats},
           {{"quant.array.levels=16", arrays, "already quantized"}, quantized},
           {{alone,
             {"quant.preset", "quant.weight_noise", "run.quantize", "qat.batch"},
             "prune.retrain = false"},
            floats},
           {{alone + "prune.penalty=0.1",
             {"quant.preset", "qat.epochs", "qat.range_rate"},
             "prune.retrain = false"},
            floats},
           {{alone + "prune.penalty=0.1", {"qat.patience"}, "training of 1 epoch"}, floats},
           {{alone + "prune.penalty=0.1 prune.penalty_epochs=9", {"qat.patience", "qat.batch"}, ""},
            floats},
           {{alone + "prune.penalty=0.1", {"qat.range_rate", "quant.weight_noise"}, ""}, quantized},
           // The scores by gradients are those of noisy weights.
           {{alone, {"quant.weight_noise"}, ""}, quantized},
           {{alone + "prune.score=last", all_noise, "prune.retrain = false"}, quantized},
           {{"prune.schedule=gradual qat.epochs=8", {"qat.patience"}, "training of 2 epochs"},
            quantized},
           {{"prune.schedule=gradual qat.epochs=9", {"qat.patience"}, ""}, quantized},
           {{"qat.distill=1",
             {"qat.label_smoothing", "qat.class_weights", "qat.class_offsets"},
             "qat.distill = 1"},
            quantized},
           {{"prune.states=0", {"prune.refit"}, "prune.states = 0"}, floats},
           {{"prune.channels=0 prune.scope=block", {"prune.scope"}, "prune.channels = 0"}, floats},
           // Without a sound balanced truncation, hankel refits as well.
           {{"prune.score=hankel", {"prune.refit"}, ""}, floats},
           {{both, {"prune.score", "prune.batches"}, "prune.states = 0"}, quantized},
           {{both + "prune.score=hankel", {"prune.score", "prune.batches"}, ""}, quantized},
           {{both + "run.quantize=false", {"qat.epochs", "prune.batches"}, ""}, floats},
           {{"prune.score=last prune.channels=0", {"prune.batches"}, "prune.score"}, quantized},
           {{"prune.score=last", {"prune.batches"}, ""}, quantized}}) {
    const RunOptions options = with(c.settings);
    for (const std::string& key : c.keys) {
      const std::string why = idle_reason_in_prune(key, options, {c.network});
      EXPECT_THAT(why, HasSubstr(c.why)) << c.settings << ": " << key;
      EXPECT_EQ(why.empty(), c.why.empty()) << c.settings << ": " << key << ": " << why;
    }
  }
}

TEST(Idle, OneOfTheNetworksSufficesForAnEffect) {
  const std::vector<NetworkKind> both = {quantized_network(), float_network()};
  const RunOptions options = with("run.quantize=false");
  for (const char* key : {"run.quantize", "qat.norm_batches", "quant.weight_noise"}) {
    EXPECT_EQ(idle_reason_in_prune(key, options, both), "") << key;
  }
  EXPECT_THAT(idle_reason_in_prune("quant.preset", options, both), HasSubstr("already quantized"));
}

}  // namespace
}  // namespace crosstate::pipeline
