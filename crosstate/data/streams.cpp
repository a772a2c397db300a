#include "crosstate/data/streams.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace crosstate::data {
namespace {

constexpr int kTapsPerFactor = 55;

}  // namespace

std::vector<double> low_pass(int factor) {
  if (factor == 1) return {1};
  constexpr double kPi = std::numbers::pi;
  const int count = kTapsPerFactor * factor | 1;
  const double cutoff = 0.5 * (Decimator::kPass + Decimator::kStop) / factor;  // per sample
  std::vector<double> taps(static_cast<std::size_t>(count));
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const double t = i - (count - 1) / 2.0;
    const double sinc = t == 0 ? 2 * cutoff : std::sin(2 * kPi * cutoff * t) / (kPi * t);
    const double phase = 2 * kPi * (i + 1) / (count + 1);
    const double window = 0.42 - 0.5 * std::cos(phase) + 0.08 * std::cos(2 * phase);
    sum += taps[static_cast<std::size_t>(i)] = sinc * window;
  }
  for (double& tap : taps) tap /= sum;
  return taps;
}

Decimator::Decimator(int factor) {
  for (const double tap : low_pass(factor)) taps_.push_back(static_cast<float>(tap));
  windows_ = Windows<float>(taps_.size(), static_cast<std::size_t>(factor));
}

void Decimator::push(std::span<const float> samples, std::vector<float>& to) {
  if (taps_.size() == 1) {
    to.insert(to.end(), samples.begin(), samples.end());
    return;
  }
  windows_.push(samples, [&](std::span<const float> window) {
    float sum = 0;
    for (std::size_t i = 0; i < taps_.size(); ++i) sum += taps_[i] * window[i];
    to.push_back(sum);
  });
}

}  // namespace crosstate::data
