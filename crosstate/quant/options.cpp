#include "crosstate/quant/options.h"

#include <nlohmann/json.hpp>
#include <regex>

#include "crosstate/analog/row_levels.h"
#include "crosstate/analog/steps.h"
#include "crosstate/base/error.h"
#include "crosstate/base/json.h"

namespace crosstate::quant {
namespace {

constexpr int kMostBits = 16, kMostArraySize = 1 << 16;

struct PresetBits {
  int weights, activations, state;
};

PresetBits preset_bits(const std::string& preset) {
  if (preset == "float") return {0, 0, 0};
  if (preset == "analog-64x64") return {8, 8, 8};
  static const std::regex kBits("w([0-9]{1,2})a([0-9]{1,2})s([0-9]{1,2})");
  std::smatch match;
  if (std::regex_match(preset, match, kBits)) {
    const PresetBits bits{std::stoi(match[1]), std::stoi(match[2]), std::stoi(match[3])};
    if (bits.weights <= kMostBits && bits.activations <= kMostBits && bits.state <= kMostBits &&
        bits.activations != 1 && bits.state != 1) {
      return bits;
    }
  }
  fail("options", "quant.preset = \"" + preset +
                      "\", expected float, analog-64x64 or bits of weights, activations and state "
                      "as in w8a8s8: 0 (float) or up to 16, and at least 2 but for weights");
}

// Calls f(name, site, help) for every site of one kind.
template <class Options, class F>
void for_weights(Options& o, F f) {
  f("encoder", o.encoder, "The encoder's weights");
  f("c", o.c, "C with B and the state's scale folded in");
  f("d", o.d, "The feed-through D");
  f("weight", o.weight, "The pointwise layers' weights");
  f("decoder", o.decoder, "The decoder's weights");
}
template <class Options, class F>
void for_activations(Options& o, F f) {
  f("input", o.input, "The network's input");
  f("residual", o.residual, "The stream between blocks, the state's input");
  f("ssm_output", o.ssm_output, "y of the state-space layer, the activation's input");
  f("activation", o.activation, "The activation's output, the pointwise layer's input");
  f("linear", o.linear, "The pointwise layer's output before the gate");
  f("gate", o.gate, "The gate's output in [0, 1]");
}

void add_bits(FieldList& list, int& bits, const std::string& help) {
  list.add("bits", bits, help + "; 0: float (not quantized), -1: as in quant.preset.")
      .in("bits")
      .range(kPresetBits, kMostBits);
}

void require(const std::string& key, int bits, int least, int most = kMostBits,
             const std::string& without = "float") {
  if (bits <= kFloatBits || bits >= least) return;
  fail("options", key + " = " + std::to_string(bits) + ", expected 0 (" + without + ") or " +
                      std::to_string(least) + " to " + std::to_string(most) + " bits");
}

}  // namespace

void fields(FieldList& list, QuantOptions& options) {
  list.section("quant");
  list.add(
      "preset", options.preset,
      "Bits of all sites: float, analog-64x64, or as in w4a8s8 (weights, activations, state).");
  list.add("granularity", options.granularity,
           "One weight scale per output channel, or per tensor for hardware with a single scale.");
  list.add("weight_scales", options.weight_scales,
           "Weight scales: pow2 turns rescaling into shifts, free fits ranges closer.");
  list.add("scales", options.scales,
           "Activation scales: pow2 turns rescaling into shifts, free fits ranges closer.");
  list.add("straight_through", options.straight_through,
           "Gradient of activations beyond their range: clip: none, as the rounded function has; "
           "pass: as within it, so that units stuck there can return. States always clip.");
  list.add("range_gradient", options.range_gradient,
           "What learned activation ranges follow: lsq: rounding errors and clipped values "
           "(arXiv 1902.08153); pact: clipped values alone (arXiv 1805.06085).");
  list.add(
      "bias_correction", options.bias_correction,
      "Moves biases once ranges are chosen, layer by layer, so that rounding leaves the mean of "
      "every output of the pointwise layers and the decoder as it was (arXiv 1906.04721); for "
      "networks that are not trained on. Batch norms must be folded, or it does nothing.");
  list.add("weight_noise", options.weight_noise,
           "Relative noise on weights in training, drawn anew in every step; about the read noise "
           "of the cells to be used, or their whole spread.")
      .range(0, 1);
  list.add("device_noise", options.device_noise,
           "Relative noise on weights that stays for quant.chip_steps steps; about the spread from "
           "device to device, which reading does not change.")
      .range(0, 1);
  list.add("chip_steps", options.chip_steps,
           "Training steps on one draw of quant.device_noise; 0: all, to train for a single chip.")
      .in("steps")
      .range(0, 1e9);
  list.add("noise_unit", options.noise_unit,
           "What noise is relative to. weight: each weight; largest: what the full conductance "
           "stands for in its place, as where cells deviate by a share of that: the largest weight "
           "on its bit line of one array, in units of codes; in the recurrence the largest weight "
           "over the level of its row, times the weight's own level. D is digital.");
  list.add("noise_recurrence", options.noise_recurrence,
           "What noise on A is relative to: increment: A - 1, direct: A, as crossbar.recurrence; "
           "corrected: increments whose real part compensation sets right (crossbar.compensation = "
           "\"column\"), where noise is relative to the bit line.");

  for_weights(options, [&](const std::string& name, WeightSite& site, const std::string& help) {
    list.section("quant." + name);
    add_bits(list, site.bits, help + " (1: binary, 2: ternary)");
    list.add("granularity", site.granularity,
             "One scale per output channel or one; empty: quant's.");
    list.add("scales", site.scales, "Free or powers of two; empty: quant.weight_scales.");
    list.add("range", site.range,
             "How a scale is chosen: the largest magnitude, the least squared error, or the mean "
             "magnitude; auto: mse up to 3 bits, absmax above.");
    list.add("learned", site.learned,
             "Trains the scales too (LSQ, arXiv 1902.08153), starting from those that range "
             "chooses; for 4 bits and fewer.");
  });
  list.section("quant.a");
  add_bits(list, options.a.bits, "Decay and phase, or both parts, of each mode of A");
  list.add("coding", options.a.coding,
           "log-polar: logarithm of the decay and phase; polar: decay and phase; cartesian: what "
           "analog cells store. Rounded poles stay inside the unit circle in each.");
  for_activations(options, [&](const std::string& name, ActivationSite& site,
                               const std::string& help) {
    list.section("quant." + name);
    add_bits(list, site.bits, help);
    if (&site == &options.gate) return;  // always unsigned codes in steps of 2^-bits
    if (&site == &options.input || &site == &options.activation) {
      list.add("codes", site.codes,
               "symmetric about 0, or affine: all codes between the least and the largest value; "
               "auto: affine where one side is hardly used.");
    }
    list.add("scales", site.scales, "pow2 or free; empty: quant.scales.");
    list.add("range", site.range,
             "How calibration chooses the range: clip: the largest magnitude, but rare values "
             "clipped; absmax; percentile; mse: least squared error.");
    list.add("percentile", site.percentile, "Of magnitudes, for range = percentile.")
        .in("%")
        .range(50, 100);
    list.add("learned", site.learned, "Trains the scale too (quant.range_gradient).");
  });
  list.section("quant.state");
  add_bits(list, options.state.bits,
           "The state at every step; the last to lower, errors add up over time");
  list.add("rounding", options.state.rounding,
           "nearest: slow states stand still below 0.5 / (1 - |A|) steps; stochastic: exact in the "
           "mean; feedback: exact within a step, for 14 bits more of each part.")
      .one_of({"nearest", "stochastic", "feedback"});
  list.section("quant.array");
  const auto number = [&](const char* key, int& value, int most, const std::string& help) {
    list.add(key, value, help + "; -1: as quant.preset says.").range(kPresetBits, most);
  };
  number("rows", options.array.rows, kMostArraySize,
         "Training as on arrays of so many rows: sums over more inputs come in parts, each with a "
         "largest weight and a conversion of its own; 0: one array, however long");
  number("columns", options.array.columns, kMostArraySize,
         "Columns of such arrays. A channel with more states than rows or columns hold sums its "
         "output in parts; 0: no limit");
  number("drive_halvings", options.array.drive_halvings, analog::kMostDriveHalvings,
         "How often the level that drives a row of a recurrent array may be halved "
         "(crossbar.drive_halvings), which decides what a cell of B, A and C stands for; 0: full "
         "levels, as with crossbar.driven = \"all\"");
  number("levels", options.array.levels, kMostArraySize,
         "Training with weights at so many levels between 0 and the largest on their bit line, as "
         "cells of few conductances hold them; 0: any");
  number("partial_bits", options.array.partial_bits, analog::kMostPartialBits,
         "Bits of the converters of parts in training, where quant.array.rows makes some; 0: not "
         "rounded");
  number("state_bits", options.array.state_bits, kMostBits,
         "Noise of states in training is that of converters of so many bits whose range is that of "
         "the states' increments; 0: in codes of the state");
  list.add("noise", options.array.noise,
           "Noise of every conversion in training, rms, in steps of its converter: codes of what "
           "follows, or finer steps of states' increments. None if sites are not quantized; -1: as "
           "quant.preset says.")
      .in("steps")
      .range(kPresetBits, kMostArrayNoise);
}

QuantOptions resolved(QuantOptions options) {
  const PresetBits preset = preset_bits(options.preset);
  ArraySite preset_array{.rows = 0,
                         .columns = 0,
                         .drive_halvings = analog::kDriveHalvings,
                         .levels = 0,
                         .partial_bits = 0,
                         .state_bits = 0,
                         .noise = 0};
  const auto bits = [](int& of, int otherwise) {
    if (of == kPresetBits) of = otherwise;
  };
  if (options.preset == "analog-64x64") {
    if (options.a.bits == kPresetBits) options.a.coding = PoleCoding::kCartesian;
    if (options.weight_noise == 0) options.weight_noise = 0.02;
    preset_array.rows = preset_array.columns = 64;
    preset_array.state_bits = 8;
    preset_array.noise = 0.25;
  }
  bits(options.array.rows, preset_array.rows);
  bits(options.array.columns, preset_array.columns);
  bits(options.array.drive_halvings, preset_array.drive_halvings);
  bits(options.array.levels, preset_array.levels);
  bits(options.array.partial_bits, preset_array.partial_bits);
  bits(options.array.state_bits, preset_array.state_bits);
  if (options.array.noise < 0) {
    if (options.array.noise != kPresetBits) {
      fail("options",
           "quant.array.noise = " + exact_json_text(nlohmann::json(options.array.noise)) +
               ", expected 0 or more steps, or -1: as quant.preset says");
    }
    options.array.noise = preset_array.noise;
  }
  for_weights(options, [&](const char*, WeightSite& site, const char*) {
    bits(site.bits, preset.weights);
    if (!site.granularity) site.granularity = options.granularity;
    if (!site.scales) site.scales = options.weight_scales;
  });
  bits(options.a.bits, preset.weights == 1 ? 2 : preset.weights);
  for_activations(options, [&](const char*, ActivationSite& site, const char*) {
    bits(site.bits, preset.activations);
    if (!site.scales) site.scales = options.scales;
  });
  bits(options.state.bits, preset.state);

  for_weights(options, [&](const std::string& name, const WeightSite& site, const char*) {
    if (site.range == WeightRange::kMean && site.bits > 2) {
      fail("options", "quant." + name + ".range = \"mean\" with " + std::to_string(site.bits) +
                          " bits, expected auto, absmax or mse: mean is for binary and ternary");
    }
  });
  for_activations(options, [&](const std::string& name, const ActivationSite& site, const char*) {
    require("quant." + name + ".bits", site.bits, 2);
  });
  require("quant.a.bits", options.a.bits, 2);
  require("quant.state.bits", options.state.bits, 2);
  require("quant.array.partial_bits", options.array.partial_bits, 2, analog::kMostPartialBits,
          "not rounded");
  require("quant.array.state_bits", options.array.state_bits, 2, kMostBits, "codes of the state");
  if (options.array.levels == 1) {
    fail("options", "quant.array.levels = 1, expected 0 (any) or 2 or more levels");
  }
  if (options.array.noise > 0 && options.state.rounding == "feedback") {
    fail("options",
         "quant.state.rounding = \"feedback\" with noise of conversions (quant.array.noise or "
         "quant.preset), expected nearest or stochastic, or quant.array.noise = 0: a converter "
         "keeps no residue");
  }
  return options;
}

void validate(const QuantOptions& options) {
  QuantOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  resolved(options);
}

kernels::RoundingMode rounding_mode(const std::string& name) {
  for (const kernels::RoundingMode mode :
       {kernels::RoundingMode::kNearest, kernels::RoundingMode::kStochastic,
        kernels::RoundingMode::kFeedback}) {
    if (name == name_of(mode)) return mode;
  }
  fail("options", "rounding = \"" + name + "\", expected nearest, stochastic or feedback");
}

const char* name_of(kernels::RoundingMode mode) {
  switch (mode) {
    case kernels::RoundingMode::kNearest:
      return "nearest";
    case kernels::RoundingMode::kStochastic:
      return "stochastic";
    case kernels::RoundingMode::kFeedback:
      return "feedback";
  }
  return "";
}

bool folds_after_rounding(const QuantOptions& options) {
  const WeightSite& site = options.weight;
  return site.bits == kFloatBits ||
         (site.granularity == Granularity::kChannel && site.scales == ScaleKind::kFree);
}

QuantOptions quant_preset(const std::string& name) {
  QuantOptions options;
  options.preset = name;
  return resolved(options);
}

QuantOptions uniform_bits(int bits) {
  const std::string b = std::to_string(bits);
  return quant_preset('w' + b + 'a' + b + 's' + b);
}

}  // namespace crosstate::quant
