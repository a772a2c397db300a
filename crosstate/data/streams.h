// Parts of front ends that process a stream piece by piece: windows, decimation, slopes. Their
// results do not depend on how the stream is divided into pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace crosstate::data {

/// Provides the last `window` samples after every `hop` samples, with silence before the first. The
/// windows do not depend on how the stream is divided into pieces.
template <class Sample>
class Windows {
 public:
  Windows(std::size_t window, std::size_t hop)
      : window_(window), hop_(hop), buffer_(std::max(window, hop) - hop, 0) {}

  /// Calls each(std::span<const Sample>) for every window that these samples complete.
  template <class Each>
  void push(std::span<const Sample> samples, const Each& each) {
    buffer_.insert(buffer_.end(), samples.begin(), samples.end());
    const std::size_t length = std::max(window_, hop_);
    std::size_t at = 0;
    for (; at + length <= buffer_.size(); at += hop_) {
      each(std::span<const Sample>(buffer_).subspan(at + length - window_, window_));
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void reset() { buffer_.assign(std::max(window_, hop_) - hop_, 0); }

 private:
  std::size_t window_, hop_;
  std::vector<Sample> buffer_;
};

/// Taps of the low-pass of a Decimator: an odd number, symmetric, with sum 1; one tap for factor 1.
std::vector<double> low_pass(int factor);

/// A windowed-sinc low-pass (Blackman, 55 taps per kept sample) that keeps every factor-th output.
/// Passes up to 0.4 of the new sample rate within 0.1 dB and attenuates from 0.5 of it by at least
/// 60 dB (the tests check both). It is causal, so it delays by half its length. With factor 1
/// samples pass unchanged.
class Decimator {
 public:
  static constexpr double kPass = 0.4, kPassRipple = 0.1, kStop = 0.5, kStopAttenuation = 60;

  explicit Decimator(int factor);

  /// Appends the outputs that these samples complete.
  void push(std::span<const float> samples, std::vector<float>& to);
  void reset() { windows_.reset(); }

 private:
  std::vector<float> taps_;  // newest sample last
  Windows<float> windows_{1, 1};
};

/// Slope of the regression line through the last five values of each feature, per frame. Before the
/// first frame every feature is taken as constant.
class Deltas {
 public:
  explicit Deltas(std::size_t features) : features_(features), history_(kFrames * features) {}

  /// frame, slopes: one value per feature.
  void push(const float* frame, float* slopes) {
    if (empty_) {
      for (std::size_t k = 0; k < kFrames; ++k) {
        std::copy_n(frame, features_,
                    history_.begin() + static_cast<std::ptrdiff_t>(k * features_));
      }
      empty_ = false;
    }
    std::copy(history_.begin() + static_cast<std::ptrdiff_t>(features_), history_.end(),
              history_.begin());
    std::copy_n(frame, features_, history_.end() - static_cast<std::ptrdiff_t>(features_));
    for (std::size_t f = 0; f < features_; ++f) {
      const float* x = history_.data() + f;
      slopes[f] = 0.2f * (x[4 * features_] - x[0]) + 0.1f * (x[3 * features_] - x[features_]);
    }
  }

  void reset() { empty_ = true; }

 private:
  static constexpr std::size_t kFrames = 5;
  std::size_t features_;
  std::vector<float> history_;  // [frames][features], oldest first
  bool empty_ = true;
};

}  // namespace crosstate::data
