#include "crosstate/pipeline/idle.h"

#include <gtest/gtest.h>

namespace crosstate::pipeline {
namespace {

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
    expect_known(idle_in_prune(options, on));
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
    EXPECT_EQ(idle_reason(key, idle_in_prune(options, true)), "quant.state.bits = 0") << key;
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
    EXPECT_EQ(idle_reason(key, idle_in_prune(options, true)), why) << key;
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

}  // namespace
}  // namespace crosstate::pipeline
