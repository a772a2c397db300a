// Steps of the converters at the ends of bit lines.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace crosstate::analog {

/// Largest resolution of converters whose codes are summed; binary32 represents every code.
inline constexpr int kMostPartialBits = 24;

/// The largest code of a converter of `bits` with the range -high .. high.
inline float converter_high(int bits) { return std::exp2(static_cast<float>(bits - 1)) - 1; }

/// The step of a converter of `bits` for partial sums, in units of output codes: its range is the
/// range low .. high of the codes of the whole sum.
inline double partial_step(double low, double high, int bits) {
  return std::max(std::abs(low), std::abs(high)) / static_cast<double>(converter_high(bits));
}

/// The largest code of a row of a recurrent array: of a state within +-limit, or of the input, low
/// .. high.
inline float recurrent_drive(float limit, float low, float high) {
  return std::max({limit, std::abs(low), std::abs(high)});
}

/// The smallest power-of-two step, in the unit of `largest`, with which a converter of `bits`
/// covers sums of that magnitude.
inline float increment_step(float largest, int bits) {
  constexpr float kLeast = 1e-3f;  // for states whose increments are 0
  const float high = converter_high(bits);
  return std::exp2(std::ceil(std::log2(std::max(largest, kLeast) / high)));
}

/// Whether the converter of a state has a range of its own for increments of up to `largest` (in
/// codes of the state): if its steps are then smaller than a code, or if the steps `codes_step` of
/// a converter for all codes of the state exceed one code.
inline bool reads_increments(float largest, int bits, float codes_step) {
  return codes_step > 1 || increment_step(largest, bits) <= 0.5f;
}

/// The step of a state's converter in codes of the state; `codes_step` if it has the range of the
/// codes.
inline float state_converter_step(float largest, int bits, float codes_step) {
  if (!reads_increments(largest, bits, codes_step)) return codes_step;
  return std::min(increment_step(largest, bits), codes_step);
}

/// The converter of a sum that is added to the register of a noise-shaped state. `step`: in codes
/// of the state; `own`: the range is that of the sums, not that of the codes of the state.
struct RegisterConverter {
  float step = 1;
  bool own = false;
};

/// A converter of `bits` whose step is the last place of the register, `residue_bits` below the
/// codes of the state, or larger if its bits require it: its range covers increments of up to
/// `largest` (0: it does not read increments) or, if that allows smaller steps, all codes within
/// +-limit.
inline RegisterConverter register_converter(float limit, int residue_bits, float largest,
                                            int bits) {
  const auto width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(2 * limit)));
  const float place = std::exp2(static_cast<float>(-residue_bits));
  const float codes = std::exp2(static_cast<float>(width - bits));
  if (largest > 0 && increment_step(largest, bits) <= codes) {
    return {std::max(place, increment_step(largest, bits)), true};
  }
  return {std::max(place, codes), false};
}

/// The smallest number of bits of a converter whose step is the last place of such a register.
inline int register_converter_bits(float limit, int residue_bits, float largest) {
  const float place = std::exp2(static_cast<float>(-residue_bits));
  int bits = 2;
  while (register_converter(limit, residue_bits, largest, bits).step > place) ++bits;
  return bits;
}

/// The number of bits that a converter of `bits` lacks to distinguish `width` + 1 consecutive
/// codes.
inline int missing_bits(std::uint64_t width, int bits) {
  return std::max(0, static_cast<int>(std::bit_width(width)) - bits);
}

}  // namespace crosstate::analog
