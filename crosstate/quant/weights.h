// Quantization of weights: integer codes and scales. The float values used by training and fake
// quantization are derived from them. Gradients pass straight through (straight-through estimator),
// so no adjoint is needed here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate::quant {

/// The value of a code.
inline float dequantized(std::int16_t code, float scale) {
  return static_cast<float>(code) * scale;
}

/// Codes and the scale of each row. Both are empty if a site is not quantized.
struct QuantizedTensor {
  std::vector<std::int16_t> codes;  // [rows][columns]
  std::vector<float> scales;        // [rows], all equal with one scale per tensor
  /// values: [rows][columns].
  void dequantize(std::span<float> values) const;
};

/// The weights of a linear layer and its bias. The unit of the bias is the scale of the row times
/// the scale of the input: the unit of the row's accumulator.
struct QuantizedLinear {
  QuantizedTensor weight;
  std::vector<double> bias;  // [rows] codes, integers of any size; empty: not quantized
};

/// Quantizes values [rows][columns] at a resolved site with bits > 0; returns one scale per row, or
/// one for all. Choice of the scale (site.range):
/// - absmax: the largest magnitude divided by the largest code (not for binary codes);
/// - mse: the least squared error, by a search below absmax; binary: the mean magnitude, which is
///   the optimum (XNOR-Net, arXiv 1603.05279);
/// - mean: binary as above; ternary: the mean magnitude (BitNet b1.58, arXiv 2402.17764);
/// - auto: mse up to 3 bits, where absmax is a poor choice, absmax above.
/// Codes are rounded to nearest, ties to even, and saturate. A row whose values are all below 1e-30
/// counts as zeros: scale 1, or 2^-12 for binary codes. If a row has values that are not finite,
/// its scale and all its values are NaN.
///
/// log_ratios: learned scales, as logarithms of their ratio to the mean magnitude of the weights
/// that share them ([rows], or one for all); empty: chosen as above. The ratio does not change if
/// all these weights are multiplied by a number, as in folding a batch norm.
QuantizedTensor quantize_weights(std::span<const float> values, std::size_t rows,
                                 const WeightSite& site, std::span<const float> log_ratios = {});
/// The same for values that share one scale, which is returned; there are as many codes as values.
/// log_ratio: of a learned scale, or null.
float quantize_group(std::span<const float> values, const WeightSite& site,
                     std::span<std::int16_t> codes, const float* log_ratio = nullptr);

/// The log_ratio of the scale that site.range chooses for values that share one; 0 for zeros.
float chosen_log_ratio(std::span<const float> values, const WeightSite& site);
/// Gradient of the loss with respect to the logarithm of the scale that values share (learned step
/// size quantization, S. K. Esser et al., arXiv 1902.08153, eq. 3, times the scale): the sum of
/// gradient x (code x scale - value) within the range of the codes, and of gradient x code x scale
/// beyond it. gradient: with respect to code x scale; codes: those of quantize_group().
double scale_gradient(std::span<const float> values, std::span<const double> gradient,
                      std::span<const std::int16_t> codes, float scale, int bits);

/// Quantizes biases [rows] to `linear.bias` and replaces them by the values of the codes, which
/// binary32 represents exactly or rounded to 24 bits. A row whose weights are all zero has no scale
/// and gets the power of two that its bias needs.
void quantize_bias(std::span<float> bias, float input_scale, QuantizedLinear& linear);

/// The largest code of a symmetric site: 1 for 1 and 2 bits, 2^(bits-1) - 1.
double largest_code(int bits);

/// The power of two nearest to x > 0 on a logarithmic scale.
double nearest_power_of_two(double x);

}  // namespace crosstate::quant
