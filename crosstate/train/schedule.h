// Learning rate over the steps of a stage: linear warm-up, then half a cosine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace crosstate::train {

struct Schedule {
  std::uint64_t steps = 1;   // of the whole stage
  std::uint64_t warmup = 0;  // steps until the peak, limited to half of `steps`
  double final_share = 0;    // of the peak, reached after the last step

  /// Factor of the peak rate at step `step` (from 0); in (0, 1] within the stage.
  double share(std::uint64_t step) const {
    const std::uint64_t rise = std::min(warmup, steps / 2);
    if (step < rise) return static_cast<double>(step + 1) / static_cast<double>(rise);
    if (step >= steps) return final_share;
    const double progress = static_cast<double>(step - rise) / static_cast<double>(steps - rise);
    return final_share + (1 - final_share) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
};

}  // namespace crosstate::train
