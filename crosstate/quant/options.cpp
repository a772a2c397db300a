#include "crosstate/quant/options.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "crosstate/analog/row_levels.h"
#include "crosstate/analog/steps.h"
#include "crosstate/base/complex.h"
#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/kernels/residue.h"

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
  f("encoder", o.encoder, "Weights of the encoder");
  f("c", o.c, "C, including B and the scale of the state");
  f("d", o.d, "Skip connection D");
  f("weight", o.weight, "Weights of the pointwise layers");
  f("decoder", o.decoder, "Weights of the decoder");
}
template <class Options, class F>
void for_activations(Options& o, F f) {
  f("input", o.input, "Input of the network");
  f("residual", o.residual, "Residual stream between blocks, the input of the recurrence");
  f("ssm_output", o.ssm_output, "Output y of the recurrence, the input of the activation function");
  f("activation", o.activation,
    "Output of the activation function, the input of the pointwise layer");
  f("linear", o.linear, "Output of the pointwise layer before the gate");
  f("gate", o.gate, "Output of the gate, in [0, 1]");
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
           "Weight scales: pow2 (powers of two) makes requantization a shift, free fits ranges "
           "more closely.");
  list.add("scales", options.scales,
           "Activation scales: pow2 (powers of two) makes requantization a shift, free fits ranges "
           "more closely.");
  list.add("straight_through", options.straight_through,
           "Gradient of activations outside their range. clip: zero, as that of the quantized "
           "function; pass: as inside, so that units stuck there can return. States always clip.");
  list.add("range_gradient", options.range_gradient,
           "Gradient of learned activation ranges. lsq: rounding errors and clipped values (arXiv "
           "1902.08153); pact: only clipped values (arXiv 1805.06085).");
  list.add("bias_correction", options.bias_correction,
           "Correct biases after ranges are chosen, layer by layer, so that quantization preserves "
           "the mean of every output of the pointwise layers and the decoder (arXiv 1906.04721); "
           "for post-training quantization. No effect unless batch norms are folded.");
  list.add("weight_noise", options.weight_noise,
           "Relative weight noise in training, drawn in every step; about the read noise of the "
           "target's cells, or their total variation.")
      .range(0, 1);
  list.add("device_noise", options.device_noise,
           "Relative weight noise that is kept for quant.chip_steps steps; about the variation "
           "from device to device.")
      .range(0, 1);
  list.add("chip_steps", options.chip_steps,
           "Number of training steps with one draw of quant.device_noise; 0: all, to train for a "
           "single chip.")
      .in("steps")
      .range(0, 1e9);
  list.add("noise_unit", options.noise_unit,
           "Reference of weight noise. weight: each weight; largest: the weight that full "
           "conductance represents at its position, for cells whose errors are relative to it: the "
           "largest weight on its bit line, in units of codes; in the recurrence the largest "
           "weight divided by the level of its row, times the weight's own level. D is digital.");
  list.add("noise_recurrence", options.noise_recurrence,
           "Reference of noise on A, as in crossbar.recurrence. increment: A - 1; direct: A; "
           "corrected: A - 1 with the real part corrected by compensation (crossbar.compensation = "
           "\"column\") if noise is relative to the bit line.");

  for_weights(options, [&](const std::string& name, WeightSite& site, const std::string& help) {
    list.section("quant." + name);
    add_bits(list, site.bits, help + " (1: binary, 2: ternary)");
    list.add("granularity", site.granularity,
             "One scale per output channel or per tensor; empty: quant.granularity.");
    list.add("scales", site.scales, "free or pow2 (powers of two); empty: quant.weight_scales.");
    list.add("range", site.range,
             "Choice of the scale: largest magnitude, least squared error, or mean magnitude; "
             "auto: mse up to 3 bits, absmax above.");
    list.add("learned", site.learned,
             "Train the scales (LSQ, arXiv 1902.08153), starting from those chosen by range; for 4 "
             "bits and fewer.");
  });
  list.section("quant.a");
  add_bits(list, options.a.bits, "Decay and phase, or real and imaginary part, of each mode of A");
  list.add(
      "coding", options.a.coding,
      "log-polar: logarithm of the decay, and phase; polar: decay and phase; cartesian: real and "
      "imaginary part, as analog cells store; increment: both parts of A - 1 times a power of two "
      "of each mode. The first two multiply with 16 bits, the others with the bits of the code. "
      "Quantized poles always stay inside the unit circle.");
  for_activations(options, [&](const std::string& name, ActivationSite& site,
                               const std::string& help) {
    list.section("quant." + name);
    add_bits(list, site.bits, help);
    if (&site == &options.gate) return;  // always unsigned codes in steps of 2^-bits
    if (&site == &options.input || &site == &options.activation) {
      list.add("codes", site.codes,
               "symmetric about 0, or affine: all codes between the smallest and the largest "
               "value; auto: affine if one side is hardly used.");
    }
    list.add("scales", site.scales, "pow2 or free; empty: quant.scales.");
    list.add("range", site.range,
             "Choice of the range in calibration. clip: largest magnitude with rare values "
             "clipped; absmax: largest magnitude; percentile; mse: least squared error.");
    list.add("percentile", site.percentile, "Percentile of magnitudes, with range = percentile.")
        .in("%")
        .range(50, 100);
    list.add("learned", site.learned, "Train the scale (quant.range_gradient).");
  });
  list.section("quant.state");
  add_bits(list, options.state.bits,
           "State at every step; reduce these bits last, since errors accumulate over time");
  list.add("residue_bits", options.state.residue_bits,
           "Fraction bits of the state that every part of a mode keeps from step to step: they are "
           "added, never multiplied, and prevent rounding errors from accumulating; 0: none.")
      .in("bits")
      .range(0, kernels::kMostResidueBits);
  list.add("residue", options.state.residue,
           "uniform: residue_bits in every mode; by-pole: log2(1 / (1 - |A|)) bits, rounded up, "
           "and residue_margin, but at most residue_bits, since slow modes need more.");
  list.add("residue_margin", options.state.residue_margin,
           "Number of additional bits with residue = \"by-pole\"; may be negative.")
      .in("bits")
      .range(-kernels::kMostResidueBits, kernels::kMostResidueBits);
  list.add("rounding", options.state.rounding,
           "Rounding without a residue. nearest: slow states stop changing below 0.5 / (1 - |A|) "
           "steps; stochastic: exact on average.")
      .replaced_value("feedback", "quant.state.residue_bits = 14");
  list.section("quant.array");
  const auto number = [&](const char* key, int& value, int most, const std::string& help) {
    list.add(key, value, help + "; -1: as in quant.preset.").range(kPresetBits, most);
  };
  number("rows", options.array.rows, kMostArraySize,
         "Train for arrays with this many rows: sums over more inputs are divided into parts, each "
         "with its own largest weight and conversion; 0: one array of any length");
  number("columns", options.array.columns, kMostArraySize,
         "Columns of these arrays. A channel with more states than fit sums its output in parts; "
         "0: no limit");
  number("drive_halvings", options.array.drive_halvings, analog::kMostDriveHalvings,
         "How often the drive level of a row of a recurrent array may be halved "
         "(crossbar.drive_halvings), which determines the weight of a cell of B, A and C; 0: full "
         "levels, as with crossbar.driven = \"all\"");
  number("levels", options.array.levels, kMostArraySize,
         "Train with weights rounded to this many levels between 0 and the largest on their bit "
         "line, as cells with few conductance levels store them; 0: continuous");
  number("partial_bits", options.array.partial_bits, analog::kMostPartialBits,
         "Bits of the converters of partial sums in training, if quant.array.rows creates some; 0: "
         "not rounded");
  number("state_bits", options.array.state_bits, kMostBits,
         "Bits of the converters of states in training, for their noise, with a range of the "
         "increments of the state; 0: converter steps are codes of the state");
  list.add("noise", options.array.noise,
           "RMS noise of every conversion in training, in steps of its converter: codes of the "
           "next site, or finer steps of state increments. No noise if sites are not quantized; "
           "-1: as in quant.preset.")
      .in("steps")
      .range(kPresetBits, kMostArrayNoise);
  list.add(
          "state_noise", options.array.state_noise,
          "RMS noise of conversions of states in training; -1: quant.array.noise, and 0 for states "
          "with residues, for which it is not modelled.")
      .in("steps")
      .range(kPresetBits, kMostArrayNoise);
  list.add("noise_floor", options.array.noise_floor,
           "RMS noise of every conversion in training that does not shrink with the range of its "
           "converter, relative to the current of the largest cell in a row at full level; not of "
           "states with residues, nor of class scores. -1: as in quant.preset.")
      .range(kPresetBits, 1);
  list.add("digital", options.array.digital,
           "Sites that are not on arrays, as in crossbar.digital: training gives them neither "
           "noise nor levels nor partial sums.");
}

QuantOptions resolved(QuantOptions options) {
  const PresetBits preset = preset_bits(options.preset);
  ArraySite preset_array{.rows = 0,
                         .columns = 0,
                         .drive_halvings = analog::kDriveHalvings,
                         .levels = 0,
                         .partial_bits = 0,
                         .state_bits = 0,
                         .noise = 0,
                         .state_noise = 0,
                         .noise_floor = 0};
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
               ", expected 0 or more steps, or -1: as in quant.preset");
    }
    options.array.noise = preset_array.noise;
  }
  if (options.array.noise_floor < 0) {
    if (options.array.noise_floor != kPresetBits) {
      fail("options", "quant.array.noise_floor = " +
                          exact_json_text(nlohmann::json(options.array.noise_floor)) +
                          ", expected 0 to 1, or -1: as in quant.preset");
    }
    options.array.noise_floor = preset_array.noise_floor;
  }
  if (options.array.state_noise < 0) {
    if (options.array.state_noise != kPresetBits) {
      fail("options", "quant.array.state_noise = " +
                          exact_json_text(nlohmann::json(options.array.state_noise)) +
                          ", expected 0 or more steps, or -1: quant.array.noise");
    }
    options.array.state_noise = options.state.residue_bits > 0 ? 0 : options.array.noise;
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
  digital_sites(options.array);
  const std::string residue =
      "quant.state.residue_bits = " + std::to_string(options.state.residue_bits);
  if (options.state.residue_bits > 0 && options.state.rounding == StateRounding::kStochastic) {
    fail("options", residue +
                        " with quant.state.rounding = \"stochastic\", expected nearest, or 0 "
                        "bits");
  }
  if (options.state.residue_bits > 0 && options.array.state_noise > 0) {
    fail("options", residue + " with quant.array.state_noise = " +
                        exact_json_text(nlohmann::json(options.array.state_noise)) +
                        ", expected 0 bits, or noise of 0");
  }
  return options;
}

analog::DigitalSites digital_sites(const ArraySite& array) {
  return {array.digital, "quant.array.digital"};
}

void validate(const QuantOptions& options) {
  QuantOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  resolved(options);
}

std::vector<SiteBits> bits_of_sites(const QuantOptions& options) {
  std::vector<SiteBits> sites;
  const auto add = [&](const char* name, const auto& site, const char*) {
    sites.push_back({name, site.bits});
  };
  for_weights(options, add);
  sites.push_back({"a", options.a.bits});
  for_activations(options, add);
  sites.push_back({"state", options.state.bits});
  return sites;
}

kernels::RoundingMode rounding_mode(const StateSite& site) {
  if (site.residue_bits > 0) return kernels::RoundingMode::kNoiseShaped;
  return site.rounding == StateRounding::kNearest ? kernels::RoundingMode::kNearest
                                                  : kernels::RoundingMode::kStochastic;
}

std::uint8_t residue_bits(const StateSite& site, std::complex<double> a) {
  int bits = site.residue_bits;
  if (site.residue == ResidueRule::kByPole) {
    const double gap = 1 - magnitude(a);
    // No more than what an exponent of a double may be.
    const double needed = gap > 0 ? std::ceil(-std::log2(gap)) : kernels::kMostResidueBits;
    bits = std::clamp(static_cast<int>(needed) + site.residue_margin, 0, bits);
  }
  return static_cast<std::uint8_t>(bits);
}

void renew_settings(nlohmann::json& settings) {
  const nlohmann::json::json_pointer state("/quant/state");
  if (!settings.contains(state) || !settings.at(state).is_object()) return;
  nlohmann::json& site = settings.at(state);
  if (!site.contains("rounding") || site.at("rounding") != "feedback") return;
  site["rounding"] = "nearest";
  site["residue_bits"] = kernels::kMostResidueBits;
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
