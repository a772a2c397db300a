// Slopes of features over time, from the past alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace crosstate {

/// The slope of the straight line through the last five values of each feature, per frame; before
/// the first frame every feature counts as having stood still.
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

}  // namespace crosstate
