// Random numbers of stochastic state rounding: counter-based, computed by 32-bit integer operations
// that vector lanes and microcontrollers support.
//
//   mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
//   key  = mix(seed ^ mix(mode))               once per mode and sequence
//   bits = mix(key ^ mix(step))                once per mode and step
//   real part: the upper 14 of the 32 bits; imaginary part: the 14 below them
//
// all modulo 2^32. `mode` counts layers, channels and modes: (layer H + channel) M + n. `step`
// counts the time steps of the sequence from 0.
//
// Sources: the multipliers of mix are those of "lowbias32" (C. Wellons, 2018).
#pragma once

#include <cstdint>

namespace crosstate::kernels {

/// Bits of a draw; the value of a draw k in [0, 2^14) is k 2^-14.
inline constexpr int kStateDrawBits = 14;

/// The seed of every sequence in a deployed network, so that results are reproducible. In training,
/// each sequence of each batch has its own seed.
inline constexpr std::uint32_t kDeployedSeed = 0x243f6a88;

inline constexpr std::uint32_t kMixFirst = 0x7feb352d, kMixSecond = 0x846ca68b;

/// A bijection of 32-bit words with little correlation between any two bits.
constexpr std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= kMixFirst;
  x ^= x >> 15;
  x *= kMixSecond;
  return x ^ (x >> 16);
}

constexpr std::uint32_t state_key(std::uint32_t seed, std::uint32_t mode) {
  return mix(seed ^ mix(mode));
}

/// Draws of one mode at one step, for both parts of its state.
struct StateDraw {
  std::uint32_t re = 0, im = 0;
};
constexpr StateDraw state_draw(std::uint32_t key, std::uint32_t step) {
  const std::uint32_t bits = mix(key ^ mix(step));
  return {bits >> (32 - kStateDrawBits),
          (bits >> (32 - 2 * kStateDrawBits)) & ((1u << kStateDrawBits) - 1)};
}

}  // namespace crosstate::kernels
