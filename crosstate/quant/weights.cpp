#include "crosstate/quant/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace crosstate::quant {
namespace {

// Largest number of bits for which the least-squares search is better than the absolute maximum for
// bell-shaped weights.
constexpr int kSearchBits = 3;
constexpr int kSearchSteps = 24;
constexpr double kLeastPeak = 1e-30;
// Binary codes have no 0, so a row of zeros gets weights of negligible magnitude.
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

// Of the magnitudes of values that share a scale.
struct Magnitudes {
  double peak = 0, mean = 0;
  bool finite = true;
  bool zero() const { return peak < kLeastPeak; }

  explicit Magnitudes(std::span<const float> values) {
    double sum = 0;
    for (const float w : values) {
      const double magnitude = std::abs(static_cast<double>(w));
      peak = std::max(peak, magnitude);
      sum += magnitude;
    }
    finite = std::isfinite(sum);
    mean = sum / static_cast<double>(values.size());
  }
};

double choose_scale(std::span<const float> values, const WeightSite& site, const float* log_ratio) {
  const Magnitudes magnitudes(values);
  // Divergence of training is detected by its loss, which codes must not hide.
  if (!magnitudes.finite) return std::numeric_limits<double>::quiet_NaN();
  if (magnitudes.zero()) return site.bits == 1 ? kBinaryZero : 1;
  const double limit = largest_code(site.bits), peak = magnitudes.peak, mean = magnitudes.mean;
  const bool search = site.range == WeightRange::kMse ||
                      (site.range == WeightRange::kAuto && site.bits <= kSearchBits);
  double scale = peak / limit;
  if (log_ratio != nullptr) {
    scale = mean * std::exp(static_cast<double>(*log_ratio));
  } else if (site.range == WeightRange::kMean || (search && site.bits == 1)) {
    scale = mean;
  } else if (search) {
    scale = least_squares_scale(values, peak / limit, site.bits, limit);
  }
  return site.scales == ScaleKind::kPowerOfTwo ? nearest_power_of_two(scale) : scale;
}

}  // namespace

double largest_code(int bits) { return bits <= 2 ? 1 : std::exp2(bits - 1) - 1; }

double nearest_power_of_two(double x) { return std::exp2(std::nearbyint(std::log2(x))); }

void QuantizedTensor::dequantize(std::span<float> values) const {
  const std::size_t columns = scales.empty() ? 0 : codes.size() / scales.size();
  for (std::size_t r = 0; r < scales.size(); ++r) {
    for (std::size_t i = r * columns; i < (r + 1) * columns; ++i) {
      values[i] = dequantized(codes[i], scales[r]);
    }
  }
}

float quantize_group(std::span<const float> values, const WeightSite& site,
                     std::span<std::int16_t> codes, const float* log_ratio) {
  // A float, since codes are multiplied by floats everywhere.
  const auto scale = static_cast<float>(choose_scale(values, site, log_ratio));
  if (!std::isfinite(scale)) {
    std::fill(codes.begin(), codes.end(), std::int16_t{0});
    return scale;
  }
  const double limit = largest_code(site.bits);
  for (std::size_t i = 0; i < values.size(); ++i) {
    codes[i] = static_cast<std::int16_t>(code(values[i], scale, site.bits, limit));
  }
  return scale;
}

float chosen_log_ratio(std::span<const float> values, const WeightSite& site) {
  const Magnitudes magnitudes(values);
  if (!magnitudes.finite || magnitudes.zero()) return 0;
  return static_cast<float>(std::log(choose_scale(values, site, nullptr) / magnitudes.mean));
}

double scale_gradient(std::span<const float> values, std::span<const double> gradient,
                      std::span<const std::int16_t> codes, float scale, int bits) {
  const double range = largest_code(bits) * scale;
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i], code_value = dequantized(codes[i], scale);
    sum += gradient[i] * (std::abs(value) < range ? code_value - value : code_value);
  }
  return sum;
}

QuantizedTensor quantize_weights(std::span<const float> values, std::size_t rows,
                                 const WeightSite& site, std::span<const float> log_ratios) {
  QuantizedTensor out;
  out.codes.resize(values.size());
  const auto learned = [&](std::size_t r) { return log_ratios.empty() ? nullptr : &log_ratios[r]; };
  if (site.granularity != Granularity::kChannel) {
    out.scales.assign(rows, quantize_group(values, site, out.codes, learned(0)));
    return out;
  }
  const std::size_t columns = rows == 0 ? 0 : values.size() / rows;
  out.scales.resize(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    out.scales[r] = quantize_group(values.subspan(r * columns, columns), site,
                                   std::span(out.codes).subspan(r * columns, columns), learned(r));
  }
  return out;
}

void quantize_bias(std::span<float> bias, float input_scale, QuantizedLinear& linear) {
  constexpr float kZeroRowCodes = 1 << 15;
  QuantizedTensor& weight = linear.weight;
  const std::size_t columns = bias.empty() ? 0 : weight.codes.size() / bias.size();
  linear.bias.resize(bias.size());
  for (std::size_t o = 0; o < bias.size(); ++o) {
    const auto row = weight.codes.begin() + static_cast<std::ptrdiff_t>(o * columns);
    const bool zero = std::all_of(row, row + static_cast<std::ptrdiff_t>(columns),
                                  [](std::int16_t q) { return q == 0; });
    if (zero && bias[o] != 0) {
      const double wanted = std::abs(static_cast<double>(bias[o])) / kZeroRowCodes;
      weight.scales[o] = static_cast<float>(nearest_power_of_two(wanted / input_scale));
    }
    const double step = static_cast<double>(weight.scales[o]) * input_scale;
    bias[o] = static_cast<float>(std::nearbyint(bias[o] / step) * step);
    // For a bias with more than 24 bits the code is that of the binary32 value, so that integer and
    // float arithmetic represent the same number.
    linear.bias[o] = std::nearbyint(bias[o] / step);
  }
}

}  // namespace crosstate::quant
