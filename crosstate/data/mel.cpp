#include "crosstate/data/mel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <kissfft.hh>
#include <numbers>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::data {

struct MelBands::Transform {
  explicit Transform(std::size_t points) : fft(points / 2, false) {}
  kissfft<float> fft;  // of pairs of real samples
};

double mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz_of_mel(double value) { return 700 * (std::pow(10.0, value / 2595) - 1); }

std::vector<double> hann(std::size_t window) {
  std::vector<double> taper;
  for (std::size_t i = 0; i < window; ++i) {
    const double phase =
        2 * std::numbers::pi * (static_cast<double>(i) + 0.5) / static_cast<double>(window);
    taper.push_back(0.5 - 0.5 * std::cos(phase));
  }
  return taper;
}

std::size_t spectrum_points(std::size_t window) {
  return std::bit_ceil(std::max<std::size_t>(window, 4));
}

std::vector<Triangle> mel_triangles(const MelShape& shape) {
  if (!(shape.low >= 0 && shape.low < shape.high && shape.high <= shape.sample_rate / 2)) {
    fail("options", "front_end.low = " + exact_text(shape.low) +
                        " and front_end.high = " + exact_text(shape.high) +
                        ", expected ascending values up to half the sample rate, " +
                        exact_text(shape.sample_rate / 2) + " Hz");
  }
  const std::size_t points = spectrum_points(shape.window);
  const double bin = shape.sample_rate / static_cast<double>(points);
  const double bottom = mel(shape.low), top = mel(shape.high);
  const auto corner = [&](std::size_t i) {
    return hertz_of_mel(bottom + (top - bottom) * static_cast<double>(i) /
                                     static_cast<double>(shape.bands + 1));
  };
  std::vector<Triangle> bands;
  for (std::size_t b = 0; b < shape.bands; ++b) {
    const double low = corner(b), middle = corner(b + 1), high = corner(b + 2);
    Triangle band;
    for (std::size_t k = 0; k <= points / 2; ++k) {
      const double f = static_cast<double>(k) * bin;
      const double weight = std::min((f - low) / (middle - low), (high - f) / (high - middle));
      if (weight <= 0) continue;
      if (band.weights.empty()) band.first = k;
      band.weights.push_back(weight);
    }
    if (band.weights.empty()) {
      fail("options", "front_end.bands = " + std::to_string(shape.bands) + ": band " +
                          std::to_string(b) + " from " + std::to_string(low) + " to " +
                          std::to_string(high) +
                          " Hz contains none of the frequencies, which are " + std::to_string(bin) +
                          " Hz apart; expected fewer bands or a longer front_end.frame");
    }
    bands.push_back(std::move(band));
  }
  return bands;
}

MelBands::MelBands(const MelShape& shape)
    : samples_(spectrum_points(shape.window), 0.0f),
      power_(samples_.size() / 2 + 1),
      spectrum_(samples_.size() / 2),
      floor_(static_cast<float>(std::pow(10.0, shape.floor / 10))),
      transform_(std::make_unique<Transform>(samples_.size())) {
  for (const Triangle& triangle : mel_triangles(shape)) {
    bands_.push_back({triangle.first, {triangle.weights.begin(), triangle.weights.end()}});
  }
  double sum = 0;
  for (const double c : hann(shape.window)) {
    taper_.push_back(static_cast<float>(c));
    sum += static_cast<double>(taper_.back());
  }
  for (float& t : taper_) t *= static_cast<float>(2 / sum);
}

MelBands::~MelBands() = default;
MelBands::MelBands(MelBands&&) noexcept = default;
MelBands& MelBands::operator=(MelBands&&) noexcept = default;

void MelBands::operator()(std::span<const float> window, float* out) {
  for (std::size_t i = 0; i < window.size(); ++i) samples_[i] = window[i] * taper_[i];
  transform_->fft.transform_real(samples_.data(), spectrum_.data());
  // The real values at the two ends of the spectrum are packed into one complex number.
  power_.front() = spectrum_[0].real() * spectrum_[0].real();
  power_.back() = spectrum_[0].imag() * spectrum_[0].imag();
  for (std::size_t k = 1; k < spectrum_.size(); ++k) power_[k] = std::norm(spectrum_[k]);
  for (const Band& band : bands_) {
    float energy = 0;
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      energy += band.weights[i] * power_[band.first + i];
    }
    *out++ = std::log(energy + floor_);
  }
}

}  // namespace crosstate::data
