// Which sites of a network are quantized, and how. Every site has its own section in a
// configuration, [quant.state] bits = 8; options that a site does not set are taken from [quant].
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/analog/digital_sites.h"
#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::quant {

/// Bits of a site that takes them from the preset, and of a site that is not quantized.
inline constexpr int kPresetBits = -1, kFloatBits = 0;

/// The values that share a weight scale: those of an output channel, or of the whole tensor.
enum class Granularity { kChannel, kTensor };
constexpr auto enum_names(Granularity) {
  return std::array{Named{"channel", Granularity::kChannel}, Named{"tensor", Granularity::kTensor}};
}

/// Scales: any binary32 number, or only powers of two, for which requantization is a shift.
enum class ScaleKind { kFree, kPowerOfTwo };
constexpr auto enum_names(ScaleKind) {
  return std::array{Named{"free", ScaleKind::kFree}, Named{"pow2", ScaleKind::kPowerOfTwo}};
}

/// Choice of a weight scale: the largest magnitude, the least squared error, or the mean magnitude
/// (binary and ternary weights); kAuto: kMse up to 3 bits, kAbsmax above.
enum class WeightRange { kAuto, kAbsmax, kMse, kMean };
constexpr auto enum_names(WeightRange) {
  return std::array{Named{"auto", WeightRange::kAuto}, Named{"absmax", WeightRange::kAbsmax},
                    Named{"mse", WeightRange::kMse}, Named{"mean", WeightRange::kMean}};
}

/// Coding of a pole: the logarithm of its decay, and its phase; decay and phase; or its real and
/// imaginary part.
enum class PoleCoding { kLogPolar, kPolar, kCartesian, kIncrement };
constexpr auto enum_names(PoleCoding) {
  return std::array{Named{"log-polar", PoleCoding::kLogPolar}, Named{"polar", PoleCoding::kPolar},
                    Named{"cartesian", PoleCoding::kCartesian},
                    Named{"increment", PoleCoding::kIncrement}};
}
/// Whether codes are decoded to fixed-point numbers of 16 bits before they are multiplied.
constexpr bool is_decoded(PoleCoding coding) {
  return coding == PoleCoding::kLogPolar || coding == PoleCoding::kPolar;
}

/// Codes symmetric about 0, or 2^bits codes between the smallest and the largest value; kAuto:
/// affine if one side is hardly used.
enum class CodeSymmetry { kAuto, kSymmetric, kAffine };
constexpr auto enum_names(CodeSymmetry) {
  return std::array{Named{"auto", CodeSymmetry::kAuto},
                    Named{"symmetric", CodeSymmetry::kSymmetric},
                    Named{"affine", CodeSymmetry::kAffine}};
}

/// Choice of the range of an activation in calibration: the largest magnitude with rare values
/// clipped, the largest magnitude, a percentile of the magnitudes, or the least squared error.
enum class ActivationRange { kClip, kAbsmax, kPercentile, kMse };
constexpr auto enum_names(ActivationRange) {
  return std::array{
      Named{"clip", ActivationRange::kClip}, Named{"absmax", ActivationRange::kAbsmax},
      Named{"percentile", ActivationRange::kPercentile}, Named{"mse", ActivationRange::kMse}};
}

/// Gradient of activations outside their range: zero, or as inside.
enum class StraightThrough { kClip, kPass };
constexpr auto enum_names(StraightThrough) {
  return std::array{Named{"clip", StraightThrough::kClip}, Named{"pass", StraightThrough::kPass}};
}

/// Reference of weight noise: each weight, or the largest on its bit line.
enum class NoiseUnit { kWeight, kLargest };
constexpr auto enum_names(NoiseUnit) {
  return std::array{Named{"weight", NoiseUnit::kWeight}, Named{"largest", NoiseUnit::kLargest}};
}

/// Reference of noise on A: A - 1, A, or A - 1 with its real part corrected by compensation.
enum class NoiseRecurrence { kIncrement, kDirect, kCorrected };
constexpr auto enum_names(NoiseRecurrence) {
  return std::array{Named{"increment", NoiseRecurrence::kIncrement},
                    Named{"direct", NoiseRecurrence::kDirect},
                    Named{"corrected", NoiseRecurrence::kCorrected}};
}

/// Signed symmetric codes times a scale: 1 bit is binary (-1, 1), 2 bits are ternary (-1, 0, 1), b
/// bits have the range -(2^(b-1) - 1) .. 2^(b-1) - 1.
struct WeightSite {
  int bits = kPresetBits;
  std::optional<Granularity> granularity = {};  // none: quant.granularity
  std::optional<ScaleKind> scales = {};         // none: quant.weight_scales
  WeightRange range = WeightRange::kAuto;
  bool learned = false;  // the scales are trained, starting from those chosen by range
  bool operator==(const WeightSite&) const = default;
};

/// The discretised A.
struct PoleSite {
  int bits = kPresetBits;  // of decay and of phase, or of each part
  PoleCoding coding = PoleCoding::kLogPolar;
  bool operator==(const PoleSite&) const = default;
};

/// Values between two layers: codes of `bits` times one scale per tensor. Symmetric codes are as
/// for weights; affine codes are 2^bits consecutive integers that include 0 and cover the observed
/// range.
struct ActivationSite {
  int bits = kPresetBits;
  CodeSymmetry codes = CodeSymmetry::kAuto;  // a setting of input and activation
  std::optional<ScaleKind> scales = {};      // none: quant.scales
  ActivationRange range = ActivationRange::kClip;
  double percentile = 99.99;  // of the magnitudes, if range = percentile
  bool learned = true;        // the scale is trained by quant.range_gradient; else as calibrated
  bool operator==(const ActivationSite&) const = default;
};

/// Rounding of a state without a residue; with a residue the state is noise-shaped.
enum class StateRounding { kNearest, kStochastic };
constexpr auto enum_names(StateRounding) {
  return std::array{Named{"nearest", StateRounding::kNearest},
                    Named{"stochastic", StateRounding::kStochastic}};
}

/// Residue bits of a mode: the same for all modes, or according to its pole.
enum class ResidueRule { kUniform, kByPole };
constexpr auto enum_names(ResidueRule) {
  return std::array{Named{"uniform", ResidueRule::kUniform},
                    Named{"by-pole", ResidueRule::kByPole}};
}

/// Both parts of the state of every mode, in units of a power-of-two step for each mode: codes of
/// `bits`, and a residue with further fraction bits, which is added in the next step and never
/// multiplied.
struct StateSite {
  int bits = kPresetBits;
  int residue_bits = 0;  // of every mode, or the maximum over modes
  ResidueRule residue = ResidueRule::kUniform;
  int residue_margin = -3;  // by-pole: bits in addition to log2(1 / (1 - |A|))
  StateRounding rounding = StateRounding::kNearest;
  bool operator==(const StateSite&) const = default;
};

inline constexpr double kMostArrayNoise = 1000;  // in steps of a converter

/// Properties of the arrays that will hold the weights, as modelled in training. Deployed networks
/// compute in integers without them.
struct ArraySite {
  int rows = kPresetBits;  // of one array: sums over more inputs are divided into parts; 0: never
  int columns = kPresetBits;         // likewise; 0: no limit
  int drive_halvings = kPresetBits;  // of the row levels of recurrent arrays; 0: full level
  int levels = kPresetBits;          // conductance levels of a cell; 0: continuous
  int partial_bits = kPresetBits;    // of the converters of partial sums; 0: not rounded
  int state_bits =
      kPresetBits;             // of converters of state increments; 0: steps are codes of the state
  double noise = kPresetBits;  // rms of a conversion, in steps of its converter
  double state_noise = kPresetBits;  // of a conversion of a state, likewise; -1: as `noise`, or 0
                                     // for states with residues
  double noise_floor = kPresetBits;  // rms of every conversion, of the current of the largest cell
                                     // in a row at full level
  std::string digital = {};          // sites without arrays, see analog::DigitalSites
  bool operator==(const ArraySite&) const = default;
};

/// The sites that ArraySite::digital names.
analog::DigitalSites digital_sites(const ArraySite& array);

struct QuantOptions {
  std::string preset = "w8a8s8";
  Granularity granularity = Granularity::kChannel;  // of weight scales
  ScaleKind weight_scales = ScaleKind::kFree;
  ScaleKind scales = ScaleKind::kPowerOfTwo;  // of activations
  // A scale for each weight of D, or of an encoder with one input, would replace the weight itself.
  WeightSite encoder{.granularity = Granularity::kTensor}, c,
      d{.granularity = Granularity::kTensor}, weight, decoder;
  PoleSite a;
  ActivationSite input, residual, ssm_output, activation, linear, gate;
  StateSite state;
  ArraySite array;
  StraightThrough straight_through = StraightThrough::kClip;  // activations outside their range
  // Gradient of learned activation scales.
  kernels::RangeGradient range_gradient = kernels::RangeGradient::kSteps;
  bool bias_correction = false;  // once, when quantization is switched on
  // Gaussian noise on every weight in training: drawn in every step, like read noise, and drawn for
  // chip_steps steps, like device variation; 0: a single draw.
  double weight_noise = 0, device_noise = 0;
  int chip_steps = 1;
  NoiseUnit noise_unit = NoiseUnit::kWeight;
  NoiseRecurrence noise_recurrence = NoiseRecurrence::kIncrement;
  bool operator==(const QuantOptions&) const = default;
};

/// Binds the fields of section "quant" and of those below it.
void fields(FieldList& list, QuantOptions& options);
/// Throws Error for a value out of range, an unknown preset, and bits that a site does not support.
void validate(const QuantOptions& options);

/// The options with explicit bits, granularity and scales for every site, without presets or empty
/// optionals.
/// Presets: "float", "wWaAsS" with the bits of weights (A, C, D, encoder, linear layers, decoder),
/// activations and state (0: float; w2 is ternary, w1 keeps A at 2 bits), and "analog-64x64":
/// w8a8s8 with Cartesian A, as stored in cells, 2 % noise on weights, and a quarter of a code of
/// noise on conversions of arrays with 64 rows. Throws Error like validate().
QuantOptions resolved(QuantOptions options);

/// Name and bits of every site, in the order of the settings.
struct SiteBits {
  const char* site;  // "encoder"
  int bits;
};
std::vector<SiteBits> bits_of_sites(const QuantOptions& options);

/// The rounding mode of the scan for a state site with bits.
kernels::RoundingMode rounding_mode(const StateSite& site);
/// Number of residue bits of a mode with the discretised pole `a`, |a| <= 1.
std::uint8_t residue_bits(const StateSite& site, std::complex<double> a);

/// Converts settings from a file of an earlier version, in the format of FieldList::to_json(), to
/// their present names and values.
void renew_settings(nlohmann::json& settings);

/// Whether scaling a row of the pointwise weights leaves its codes unchanged, so that a batch norm
/// may be kept during training and folded afterwards.
bool folds_after_rounding(const QuantOptions& resolved_options);

/// The options of a preset, resolved; and of the preset with the same bits at every site.
QuantOptions quant_preset(const std::string& name);
QuantOptions uniform_bits(int bits);

}  // namespace crosstate::quant
