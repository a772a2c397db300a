// Converter noise in training: counter-based, and cheap enough for every value of a network in
// every step.
//
//   bits = mix(state_key(seed, row) ^ mix(step))     as the draws of states (state_draws.h)
//   deviate = (sum of the four bytes of bits - 510) / sqrt(21845)
//
// The sum of four uniform bytes, normalised to mean 0 and standard deviation 1, is bounded by 3.45
// and has an excess kurtosis of -0.3: close enough to a Gaussian for training. Chips use exact
// Gaussian draws (read_noise.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "crosstate/kernels/pointwise.h"

namespace crosstate::kernels {

inline constexpr float kByteSumMean = 510;
inline constexpr float kByteSumDeviation = 147.80054f;  // sqrt(4 (256^2 - 1) / 12)

struct NoiseAddress {
  const std::uint32_t* seeds = nullptr;  // [16], one per sequence
  std::uint32_t first_row = 0;           // index of the first row in the network
  std::uint32_t first_step = 0;          // index of the first time step in the sequence
};

/// y[r] = x[r] + deviation[r] times a random deviate, for `rows` rows of `steps` time steps in 16
/// lanes. y may be x.
void add_noise(const NoiseAddress& address, std::size_t rows, std::size_t steps,
               const float* deviation, ConstRows x, Rows y);

}  // namespace crosstate::kernels
