// Rounding of the discretised A. Every rounded pole lies on the fixed-point grid that integer
// executors compute with, strictly inside the unit circle.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "crosstate/quant/options.h"

namespace crosstate {

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

/// Rounds the poles of one channel, |a| <= 1, to the codes of a resolved site with bits > 0:
/// - log-polar: the logarithm of the decay -ln|a| on a uniform grid of pole_levels() values between
///   the channel's slowest and fastest (within [1e-4, 4]), and the phase on one between its least
///   and largest. Slow channels turn by less per step than one step of a grid over the whole
///   circle, which would stop them: hence grids for each channel.
/// - polar: the same with a uniform grid of decays.
/// - cartesian: both parts on the grid 2^-(bits-1).
/// Then both parts are rounded to multiples of 2^-kPoleFraction, the larger part drawn towards zero
/// until |a| < 1. Real poles stay real. Returns the scales (zeros for cartesian).
PoleScales round_poles(std::span<std::complex<double>> channel, const PoleSite& site);

}  // namespace crosstate
