// Levels at which the rows of a crossbar array are driven, so that weights of different sizes on
// one bit line all use the range of its cells.
#pragma once

#include <algorithm>
#include <cmath>

namespace crosstate::analog {

/// How often a level may be halved, unless crossbar.drive_halvings says otherwise.
inline constexpr int kDriveHalvings = 6, kMostDriveHalvings = 15;

/// The level of a row with a weight of size w where the line's largest is `top`: of the full one,
/// the power of two nearest to w / top, at least 2^-halvings; 1 for a weight of 0.
inline float row_level(float w, float top, int halvings) {
  if (w == 0) return 1;
  const float exponent = std::log2(std::abs(w) / top);
  return std::exp2(std::round(std::max(exponent, -static_cast<float>(halvings))));
}

}  // namespace crosstate::analog
