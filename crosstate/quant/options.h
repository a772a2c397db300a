// Which sites of a network are rounded, and how. Every site has a section of its own in a
// configuration, [quant.state] bits = 8; what a site leaves open comes from [quant].
#pragma once

#include <string>

#include "crosstate/base/options.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::quant {

/// Bits of a site that takes them from the preset, and of one that stays in floating point.
inline constexpr int kPresetBits = -1, kFloatBits = 0;

/// Signed symmetric codes times a scale: 1 bit is binary (-1, 1), 2 bits are ternary (-1, 0, 1),
/// b bits hold -(2^(b-1) - 1) .. 2^(b-1) - 1.
struct WeightSite {
  int bits = kPresetBits;
  std::string granularity = "";  // channel | tensor; empty: quant.granularity
  std::string scales = "";       // free | pow2; empty: quant.weight_scales
  std::string range = "auto";    // auto | absmax | mse | mean
  bool operator==(const WeightSite&) const = default;
};

/// The discretised A.
struct PoleSite {
  int bits = kPresetBits;            // of the decay and of the phase, or of each part
  std::string coding = "log-polar";  // log-polar | polar | cartesian
  bool operator==(const PoleSite&) const = default;
};

/// Values between two layers: codes of `bits` times one scale per tensor. Symmetric codes are
/// those of weights; affine codes are 2^bits in a row that hold 0 and the range seen.
struct ActivationSite {
  int bits = kPresetBits;
  std::string codes = "auto";  // auto | symmetric | affine; a setting of input and activation
  std::string scales = "";     // pow2 | free; empty: quant.scales
  std::string range = "clip";  // clip | absmax | percentile | mse
  double percentile = 99.99;   // of the magnitudes, where range = percentile
  bool learned = true;         // the scale is trained by quant.range_gradient, or as calibrated
  bool operator==(const ActivationSite&) const = default;
};

/// Both parts of every mode's state, counted in steps of a power of two of their own.
struct StateSite {
  int bits = kPresetBits;
  std::string rounding = "nearest";  // nearest | stochastic | feedback
  bool operator==(const StateSite&) const = default;
};

inline constexpr double kMostArrayNoise = 1000;  // steps of a converter

/// What training sees of the arrays that will hold the weights. Deployed networks are whole
/// numbers: only steps of training compute like this.
struct ArraySite {
  int rows = kPresetBits;            // of one array: sums over more inputs come in parts; 0: never
  int columns = kPresetBits;         // likewise; 0: as many as it takes
  int drive_halvings = kPresetBits;  // of the levels of recurrent arrays' rows; 0: the full level
  int levels = kPresetBits;          // conductances of a cell; 0: any
  int partial_bits = kPresetBits;    // of the converters of such parts; 0: not rounded
  int state_bits = kPresetBits;      // of converters of states' increments; 0: of states, in codes
  double noise = kPresetBits;        // rms of a conversion, in steps of its converter
  bool operator==(const ArraySite&) const = default;
};

struct QuantOptions {
  std::string preset = "w8a8s8";
  std::string granularity = "channel";  // weight scales: channel | tensor
  std::string weight_scales = "free";   // free | pow2
  std::string scales = "pow2";          // activation scales: pow2 | free
  // A scale for each weight of D, or for each of an encoder of one input, would be the weight
  // itself.
  WeightSite encoder{.granularity = "tensor"}, c, d{.granularity = "tensor"}, weight, decoder;
  PoleSite a;
  ActivationSite input, residual, ssm_output, activation, linear, gate;
  StateSite state;
  ArraySite array;
  std::string straight_through = "clip";  // activations beyond their range: clip | pass
  std::string range_gradient = "lsq";     // of learned activation scales: lsq | pact
  bool bias_correction = false;           // once, when rounding is switched on
  // Gaussian noise on every weight while training: drawn anew in every step, as reading is noisy,
  // and kept for chip_steps steps, as the cells of one chip deviate; 0: one chip for ever.
  double weight_noise = 0, device_noise = 0;
  int chip_steps = 1;
  std::string noise_unit = "weight";           // relative to each weight | largest: on its bit line
  std::string noise_recurrence = "increment";  // | corrected | direct: what noise on A is of
  bool operator==(const QuantOptions&) const = default;
};

/// Binds the fields of section "quant" and of those below it.
void fields(FieldList& list, QuantOptions& options);
/// Throws Error for a value out of its range, an unknown preset, and bits that a site cannot have.
void validate(const QuantOptions& options);

/// Every site with its own bits, granularity and scales: no preset and no empty text is left.
/// Presets: "float", "wWaAsS" with the bits of weights (A, C, D, encoder, linear layers, decoder),
/// activations and state (0: floating point; w2 is ternary, w1 keeps A at 2 bits), and
/// "analog-64x64": w8a8s8 with Cartesian A, as cells store it, noise of 2 % on weights, and
/// conversions with a quarter of a code of noise behind arrays of 64 rows.
/// Throws Error like validate().
QuantOptions resolved(QuantOptions options);

/// The rounding of a StateSite and its name; throws Error for another name.
kernels::RoundingMode rounding_mode(const std::string& name);
const char* name_of(kernels::RoundingMode mode);

/// Whether scaling a row of the pointwise weights leaves its codes alone, so that a batch norm may
/// stay in place while training and fold afterwards.
bool folds_after_rounding(const QuantOptions& resolved_options);

/// A preset and nothing else, resolved; and the one with the same bits at every site.
QuantOptions quant_preset(const std::string& name);
QuantOptions uniform_bits(int bits);

}  // namespace crosstate::quant
