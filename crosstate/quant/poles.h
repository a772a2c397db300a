// Quantization of the discretised A. Whatever their codes, poles are fixed-point numbers, those
// that integer executors multiply with, strictly inside the unit circle.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate::quant {

/// Fraction bits of a pole's parts: both fit 16 bits, and A x + B u with 8-bit x and u, with the
/// half step that decides ties, needs no more than the 24 bits that a float holds exactly.
inline constexpr int kPoleFraction = 14;

/// The numbers that decode one channel's codes.
struct PoleScales {
  double slowest = 0, fastest = 0;         // decays -ln|A| of the first and the last code
  double least_phase = 0, most_phase = 0;  // likewise
};

/// Values of a code: 3 for 2 bits (ternary), otherwise 2^bits.
int pole_levels(int bits);

/// The poles of a channel in fixed point, in units of 2^-kPoleFraction.
struct QuantizedPoles {
  std::vector<std::int16_t> re, im;
  PoleScales scales;  // zeros for cartesian codes
};

/// What a part of a pole in fixed point stands for; binary32 holds it exactly.
inline float pole_value(std::int16_t fixed) {
  constexpr float kLastPlace = 1.0f / (1 << kPoleFraction);
  return static_cast<float>(fixed) * kLastPlace;
}
/// What 2^shift last places of a pole stand for: the gain of an input.
inline float gain_value(std::int32_t shift) { return std::ldexp(1.0f, shift - kPoleFraction); }

/// Quantizes the poles of one channel, |a| <= 1, to the codes of a resolved site with bits > 0:
/// - log-polar: the logarithm of the decay -ln|a| on a uniform grid of pole_levels() values between
///   the channel's slowest and fastest (within [1e-4, 4]), and the phase on one between its least
///   and largest. Slow channels turn by less per step than one step of a grid over the whole
///   circle, which would stop them: hence grids for each channel.
/// - polar: the same with a uniform grid of decays.
/// - cartesian: both parts on the grid 2^-(bits-1).
/// Then both parts are rounded to fixed point, the larger part drawn towards zero until |a| < 1.
/// Real poles stay real. A part that is not a number becomes 0.
QuantizedPoles quantize_poles(std::span<const std::complex<double>> channel, const PoleSite& site);

}  // namespace crosstate::quant
