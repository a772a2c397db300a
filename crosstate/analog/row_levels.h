// Drive levels of the rows of a crossbar array, so that weights of different magnitudes on one bit
// line use the whole range of its cells.
#pragma once

#include <algorithm>
#include <cmath>

namespace crosstate::analog {

/// Default limit of the halvings of a level (crossbar.drive_halvings).
inline constexpr int kDriveHalvings = 6, kMostDriveHalvings = 15;

/// The level of a row with a weight of magnitude w, where the largest of the line is `top`: the
/// power of two nearest to w / top, at least 2^-halvings; 1 for a weight of 0.
inline float row_level(float w, float top, int halvings) {
  if (w == 0) return 1;
  const float exponent = std::log2(std::abs(w) / top);
  return std::exp2(std::round(std::max(exponent, -static_cast<float>(halvings))));
}

}  // namespace crosstate::analog
