// The conductances that cells of few levels are programmed to.
#pragma once

#include <cmath>

namespace crosstate {

/// What `g`, a conductance above the least one (uS), becomes on the nearest of `levels` ones spread
/// evenly over `range`; with fewer than 2 levels cells take any.
inline double nearest_level(double g, double range, int levels) {
  if (levels < 2) return g;
  const double step = range / (levels - 1);
  return std::round(g / step) * step;
}

}  // namespace crosstate
