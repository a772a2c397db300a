// Rounding of weights: values are replaced by what their codes stand for. Gradients pass straight
// through (straight-through estimator), so no adjoint is needed here.
#pragma once

#include <complex>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

namespace crosstate {

/// Rounds each row of values [rows][columns] to `bits`-bit symmetric codes. One scale per row, or
/// one for all. Up to 3 bits the scale is found by a search for the least squared error (the
/// largest magnitude is a poor choice there); from 4 bits on it is the largest magnitude over the
/// largest code. Returns the scales (rows, or one). A row of zeros keeps scale 1.
std::vector<float> round_weights(std::span<float> values, std::size_t rows, int bits, bool per_row,
                                 bool power_of_two = false);

/// Codes of a discretised pole, |a| < 1. Log-polar: the decay -ln|a| on a logarithmic grid over
/// [1e-4, 4] and the phase on a uniform symmetric grid over +-largest_phase, `bits` each:
/// contractive by construction. Give each channel its own largest phase: slow channels turn by less
/// per step than one step of a grid over the whole circle, which would stop them. Cartesian: both
/// parts on the grid 2^-(bits-1), then drawn towards zero by single steps until |a| < 1.
std::complex<double> round_pole_log_polar(std::complex<double> a, int bits,
                                          double largest_phase = std::numbers::pi);
std::complex<double> round_pole_cartesian(std::complex<double> a, int bits);

/// The power of two nearest to x > 0 on a logarithmic scale.
double nearest_power_of_two(double x);

}  // namespace crosstate
