#include "crosstate/quant/weights.h"

#include <algorithm>
#include <cmath>

namespace crosstate {
namespace {

// Most bits at which the least-squares search beats the absolute maximum for bell-shaped weights.
constexpr int kSearchBits = 3;
constexpr int kSearchSteps = 24;
constexpr double kLeastPeak = 1e-30;
// Binary codes have no 0, so that a row of zeros is made of the least weights that matter little.
constexpr double kBinaryZero = 0x1p-12;

double code(double value, double scale, int bits, double limit) {
  if (bits == 1) return value < 0 ? -1 : 1;
  return std::clamp(std::nearbyint(value / scale), -limit, limit);
}

double squared_error(std::span<const float> values, double scale, int bits, double limit) {
  double error = 0;
  for (const float w : values) {
    const double q = code(w, scale, bits, limit) * scale;
    error += (w - q) * (w - q);
  }
  return error;
}

double least_squares_scale(std::span<const float> values, double widest, int bits, double limit) {
  double scale = widest, best = squared_error(values, widest, bits, limit);
  for (int i = 1; i < kSearchSteps; ++i) {
    const double candidate = widest * (1 - static_cast<double>(i) / kSearchSteps);
    const double error = squared_error(values, candidate, bits, limit);
    if (error < best) {
      best = error;
      scale = candidate;
    }
  }
  return scale;
}

double choose_scale(std::span<const float> values, const WeightSite& site) {
  double peak = 0, sum = 0;
  for (const float w : values) {
    const double magnitude = std::abs(static_cast<double>(w));
    peak = std::max(peak, magnitude);
    sum += magnitude;
  }
  if (peak < kLeastPeak) return site.bits == 1 ? kBinaryZero : 1;
  const double limit = largest_code(site.bits), mean = sum / static_cast<double>(values.size());
  const bool search = site.range == "mse" || (site.range == "auto" && site.bits <= kSearchBits);
  double scale = peak / limit;
  if (site.range == "mean" || (search && site.bits == 1)) {
    scale = mean;
  } else if (search) {
    scale = least_squares_scale(values, peak / limit, site.bits, limit);
  }
  return site.scales == "pow2" ? nearest_power_of_two(scale) : scale;
}

}  // namespace

double largest_code(int bits) { return bits <= 2 ? 1 : std::exp2(bits - 1) - 1; }

double nearest_power_of_two(double x) { return std::exp2(std::nearbyint(std::log2(x))); }

std::vector<float> round_weights(std::span<float> values, std::size_t rows,
                                 const WeightSite& site) {
  const double limit = largest_code(site.bits);
  const std::size_t groups = site.granularity == "channel" ? rows : 1;
  const std::size_t size = groups == 0 ? 0 : values.size() / groups;
  std::vector<float> scales(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    const std::span<float> row = values.subspan(g * size, size);
    // A float, since that is what codes are multiplied with everywhere.
    const float scale = scales[g] = static_cast<float>(choose_scale(row, site));
    for (float& w : row) w = static_cast<float>(code(w, scale, site.bits, limit)) * scale;
  }
  return scales;
}

}  // namespace crosstate
