// What the cells of one bit line make of its weights: which weight the full conductance stands for,
// and the conductances that cells of few levels are programmed to.
#pragma once

#include <algorithm>
#include <cmath>

namespace crosstate {

/// A bit line by its weights, in any unit, each on a row that is driven at a level of the full one
/// (row_levels.h).
class BitLine {
 public:
  /// A weight of 0 takes a cell but decides nothing. level > 0.
  void add(float weight, float level) {
    const float size = std::abs(weight);
    unit_ = std::max(unit_, size / level);
    sum_ += size;
  }
  /// The weight that the full conductance stands for in a row at the full level, in others as much
  /// less as their levels; 0 without weights. Levels of cells are shares of it, and so are errors
  /// that depend on the range of conductances.
  float unit() const { return unit_; }
  /// What a sum of the line is at most, over the largest code that drives its rows.
  float sum() const { return sum_; }

 private:
  float unit_ = 0, sum_ = 0;
};

/// What `g`, a conductance above the least one (uS), becomes on the nearest of `levels` ones spread
/// evenly over `range`; with fewer than 2 levels cells take any.
inline double nearest_level(double g, double range, int levels) {
  if (levels < 2) return g;
  const double step = range / (levels - 1);
  return std::round(g / step) * step;
}

}  // namespace crosstate
