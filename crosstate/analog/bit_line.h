// Scale of one bit line: the weight that full conductance represents, and rounding of conductances
// to the levels of a cell.
#pragma once

#include <algorithm>
#include <cmath>

namespace crosstate::analog {

/// A bit line, described by its weights in any unit, each on a row that is driven at a level
/// relative to full level (row_levels.h).
class BitLine {
 public:
  /// A weight of 0 occupies a cell but does not affect the scale. level > 0.
  void add(float weight, float level) {
    const float size = std::abs(weight);
    unit_ = std::max(unit_, size / level);
    sum_ += size;
  }
  /// The weight that full conductance represents in a row driven at full level; in other rows,
  /// multiplied by their level. 0 without weights. Conductance levels, and errors proportional to
  /// the conductance range, are fractions of it.
  float unit() const { return unit_; }
  /// The largest sum of the bit line, divided by the largest code of its rows.
  float sum() const { return sum_; }

 private:
  float unit_ = 0, sum_ = 0;
};

/// Rounds `g`, a conductance above the lowest one (uS), to the nearest of `levels` values spaced
/// evenly over `range`; with fewer than 2 levels, returns it unchanged.
inline double nearest_level(double g, double range, int levels) {
  if (levels < 2) return g;
  const double step = range / (levels - 1);
  return std::round(g / step) * step;
}

}  // namespace crosstate::analog
