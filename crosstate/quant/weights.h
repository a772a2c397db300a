// Rounding of weights: values are replaced by what their codes stand for. Gradients pass straight
// through (straight-through estimator), so no adjoint is needed here.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate {

/// Rounds values [rows][columns] to the codes of a resolved site with bits > 0. Returns the scales,
/// one per row or one. How a scale is chosen (site.range):
/// - absmax: the largest magnitude over the largest code (not for binary codes);
/// - mse: the least squared error, by a search below absmax; binary: the mean magnitude, which is
///   the optimum (XNOR-Net, arXiv 1603.05279);
/// - mean: binary as above; ternary: the mean magnitude (BitNet b1.58, arXiv 2402.17764);
/// - auto: mse up to 3 bits, where absmax is a poor choice, absmax above.
/// A row whose values are all below 1e-30 counts as zeros: scale 1, or 2^-12 for binary codes.
std::vector<float> round_weights(std::span<float> values, std::size_t rows, const WeightSite& site);

/// The largest code of a symmetric site: 1 for 1 and 2 bits, 2^(bits-1) - 1.
double largest_code(int bits);

/// The power of two nearest to x > 0 on a logarithmic scale.
double nearest_power_of_two(double x);

}  // namespace crosstate
