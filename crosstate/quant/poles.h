// Quantization of the discretised A. With every coding, poles are fixed-point numbers, with which
// integer executors multiply, strictly inside the unit circle.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate::quant {

/// Fraction bits of the parts of a pole. Both parts fit in 16 bits, and A x + B u with 8-bit x and
/// u, plus the half step that resolves ties, fits in the 24 bits that a float represents exactly.
inline constexpr int kPoleFraction = 14;

/// The values that decode the codes of one channel.
struct PoleScales {
  double slowest = 0, fastest = 0;         // decays -ln|A| of the first and of the last code
  double least_phase = 0, most_phase = 0;  // phases of the first and of the last code
};

/// Number of values of a code: 3 for 2 bits (ternary), otherwise 2^bits.
int pole_levels(int bits);

/// The poles of a channel in fixed point, in units of 2^-kPoleFraction.
struct QuantizedPoles {
  std::vector<std::int16_t> re, im;
  PoleScales scales;  // zeros for Cartesian codes
};

/// The value of a part of a pole in fixed point, exact in binary32.
inline float pole_value(std::int16_t fixed) {
  constexpr float kLastPlace = 1.0f / (1 << kPoleFraction);
  return static_cast<float>(fixed) * kLastPlace;
}
/// The value of 2^shift units in the last place of a pole: the gain of an input.
inline float gain_value(std::int32_t shift) { return std::ldexp(1.0f, shift - kPoleFraction); }

/// Quantizes the poles of one channel, |a| <= 1, to the codes of a resolved site with bits > 0:
/// - log-polar: the logarithm of the decay -ln|a| on a uniform grid of pole_levels() values between
///   the slowest and the fastest mode of the channel (within [1e-4, 4]), and the phase on a uniform
///   grid between the smallest and the largest. The grids are per channel because the phase of a
///   slow channel is smaller than a step of a grid over the whole circle, and would be rounded to
///   0.
/// - polar: the same with a uniform grid of decays.
/// - cartesian: both parts on the grid 2^-(bits-1).
/// - increment: A = 1 + m 2^-k, where both parts of m are two's complement numbers of `bits` bits
///   and k = 0 .. kPoleFraction belongs to the mode: A x is x plus a product with `bits` bits.
///   The code inside the unit circle closest to the pole, for the k with which m uses most of its
///   bits or a neighbour of it.
/// With the first three, both parts are then rounded to fixed point, and the larger part is reduced
/// until |a| < 1. Real poles remain real. NaN becomes 0.
QuantizedPoles quantize_poles(std::span<const std::complex<double>> channel, const PoleSite& site);

}  // namespace crosstate::quant
