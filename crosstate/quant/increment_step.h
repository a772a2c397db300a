// How finely a converter can resolve what a state moves by in one step.
#pragma once

#include <algorithm>
#include <cmath>

namespace crosstate {

/// The finest step, a power of two and in the unit of `largest`, with which a converter of `bits`
/// reaches sums of that magnitude.
inline float increment_step(float largest, int bits) {
  constexpr float kLeast = 1e-3f;  // of states that stand still
  const float high = std::exp2(static_cast<float>(bits - 1)) - 1;
  return std::exp2(std::ceil(std::log2(std::max(largest, kLeast) / high)));
}

/// Whether that is finer than codes, a step of 1.
inline bool finer_than_codes(float step) { return step <= 0.5f; }

}  // namespace crosstate
