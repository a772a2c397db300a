// Rounding of weights that minimises the error of their output rather than that of each weight.
// With second moments G of the inputs of a row, the mean squared error of its output is a quadratic
// form; codes whose errors partly cancel have a smaller error than the nearest codes.
//
// Sources: the sweep with error feedback is GPTQ (Frantar et al., arXiv 2210.17323), in the form of
// Babai's nearest plane (Chen et al., arXiv 2507.18553); the following descent over single codes is
// that of QuantEase (Behdin et al., arXiv 2309.01885).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"
#include "crosstate/quant/weights.h"

namespace crosstate::ptq {

/// Rows of weights with the same quadratic error: for codes q and a scale s the error of a row w is
/// (s q - w)^T G (s q - w).
struct Rows {
  std::size_t columns = 0;
  std::span<const double> wanted;  // [rows][columns], w
  std::span<const double> gram;    // [columns][columns], G: symmetric, positive definite
  std::size_t rows() const { return columns == 0 ? 0 : wanted.size() / columns; }
};

/// The error of all rows of a group, summed.
double output_error(const Rows& rows, const quant::QuantizedTensor& rounded);

/// Codes and scales of rows at a resolved site with at least 2 bits: one scale per row or, by the
/// granularity of the site, one for all rows of all groups. Scales are searched at and below that
/// of the largest magnitude, and are powers of two if the site requires it. The largest weight of
/// every scale keeps the largest code, so that quant::quantize_weights() of the dequantized values
/// at a site with range = absmax returns the same codes. Returns one result per group, in order. If
/// G is diagonal, every code is the nearest one at the chosen scale, or as close.
std::vector<quant::QuantizedTensor> round_to_outputs(std::span<const Rows> groups,
                                                     const quant::WeightSite& site);

}  // namespace crosstate::ptq
