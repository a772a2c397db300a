// add_noise() in plain scalar code.
#pragma once

#include <cmath>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/noise.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate::kernels::reference {

inline float byte_sum_deviate(std::uint32_t bits, float deviation, float x) {
  std::uint32_t sum = 0;
  for (int k = 0; k < 4; ++k) sum += bits >> (8 * k) & 0xFF;
  return std::fma(static_cast<float>(sum) - kByteSumMean, deviation / kByteSumDeviation, x);
}

inline void add_noise(const NoiseAddress& a, std::size_t rows, std::size_t steps,
                      const float* deviation, ConstRows x, Rows y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < steps * kLanes; ++i) {
      const std::uint32_t key =
          state_key(a.seeds[i % kLanes], a.first_row + static_cast<std::uint32_t>(r));
      const auto step = a.first_step + static_cast<std::uint32_t>(i / kLanes);
      y.row(r)[i] = byte_sum_deviate(mix(key ^ mix(step)), deviation[r], x.row(r)[i]);
    }
  }
}

}  // namespace crosstate::kernels::reference
