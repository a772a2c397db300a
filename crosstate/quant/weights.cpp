#include "crosstate/quant/weights.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crosstate {
namespace {

// Most bits at which the least-squares search beats the absolute maximum for bell-shaped weights.
constexpr int kSearchBits = 3;
constexpr int kSearchSteps = 24;
constexpr double kSlowestDecay = 1e-4, kFastestDecay = 4;

double squared_error(std::span<const float> values, double scale, double limit) {
  double error = 0;
  for (const float w : values) {
    const double q = std::clamp(std::nearbyint(w / scale), -limit, limit) * scale;
    error += (w - q) * (w - q);
  }
  return error;
}

double choose_scale(std::span<const float> values, int bits, bool power_of_two) {
  double peak = 0;
  for (const float w : values) peak = std::max(peak, std::abs(static_cast<double>(w)));
  if (peak == 0) return 1;
  const double limit = std::exp2(bits - 1) - 1;
  double scale = peak / limit;
  if (bits <= kSearchBits) {
    double best = squared_error(values, scale, limit);
    const double widest = scale;
    for (int i = 1; i < kSearchSteps; ++i) {
      const double candidate = widest * (1 - static_cast<double>(i) / kSearchSteps);
      const double error = squared_error(values, candidate, limit);
      if (error < best) {
        best = error;
        scale = candidate;
      }
    }
  }
  return power_of_two ? nearest_power_of_two(scale) : scale;
}

}  // namespace

double nearest_power_of_two(double x) { return std::exp2(std::nearbyint(std::log2(x))); }

std::vector<float> round_weights(std::span<float> values, std::size_t rows, int bits, bool per_row,
                                 bool power_of_two) {
  const double limit = std::exp2(bits - 1) - 1;
  const std::size_t groups = per_row ? rows : 1;
  const std::size_t size = groups == 0 ? 0 : values.size() / groups;
  std::vector<float> scales(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    const std::span<float> row = values.subspan(g * size, size);
    const double scale = choose_scale(row, bits, power_of_two);
    scales[g] = static_cast<float>(scale);
    for (float& w : row) {
      w = static_cast<float>(std::clamp(std::nearbyint(w / scale), -limit, limit) * scale);
    }
  }
  return scales;
}

std::complex<double> round_pole_log_polar(std::complex<double> a, int bits, double largest_phase) {
  const double codes = std::exp2(bits);
  const double span = std::log(kFastestDecay / kSlowestDecay);
  const double decay =
      std::clamp(-std::log(std::max(std::abs(a), 1e-30)), kSlowestDecay, kFastestDecay);
  const double code = std::nearbyint(std::log(decay / kSlowestDecay) / span * (codes - 1));
  const double rounded = kSlowestDecay * std::exp(code / (codes - 1) * span);
  double phase = 0;
  if (largest_phase > 0) {
    const double limit = codes / 2 - 1;
    const double step = largest_phase / limit;
    phase = std::clamp(std::nearbyint(std::arg(a) / step), -limit, limit) * step;
  }
  return std::polar(std::exp(-rounded), phase);
}

std::complex<double> round_pole_cartesian(std::complex<double> a, int bits) {
  const double grid = std::exp2(bits - 1);
  double re = std::nearbyint(a.real() * grid), im = std::nearbyint(a.imag() * grid);
  // The larger part moves first: it changes the modulus most.
  while (re * re + im * im >= grid * grid) {
    double& larger = std::abs(re) >= std::abs(im) ? re : im;
    larger -= std::copysign(1.0, larger);
  }
  return {re / grid, im / grid};
}

}  // namespace crosstate
