// What pooling adds up of a panel of codes, for the executors of batches.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "crosstate/base/lanes.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate {

/// Adds the codes of the residual stream h, `steps` time steps of 16 sequences from step `start`
/// on, that the network's pooling counts. lengths: [16]; pooled: [H][16].
inline void pool_codes(const IntegerNetwork& n, std::size_t start, std::size_t steps,
                       const std::uint32_t* lengths, ConstRows h, std::int64_t* pooled) {
  // Floats are exact for so many steps; no format of up to 8 bits meets their end.
  const auto most = static_cast<std::size_t>((1 << 24) / magnitude(n.residual));
  const bool all = !n.pool_last && std::all_of(lengths, lengths + kLanes, [&](auto length) {
    return start + steps <= length;
  });
  for (std::size_t r = 0; r < n.channels; ++r) {
    for (std::size_t begin = 0; begin < steps; begin += most) {
      std::array<float, kLanes> sum{};
      for (std::size_t k = begin; k < std::min(steps, begin + most); ++k) {
        const std::size_t t = start + k;
        const float* const codes = h.row(r) + k * kLanes;
        for (std::size_t i = 0; i < kLanes; ++i) {
          const bool counts = all || (n.pool_last ? t + 1 == lengths[i] : t < lengths[i]);
          sum[i] += counts ? codes[i] : 0.0f;
        }
      }
      for (std::size_t i = 0; i < kLanes; ++i) {
        pooled[r * kLanes + i] += static_cast<std::int64_t>(sum[i]);
      }
    }
  }
}

}  // namespace crosstate
