// The recurrence of an integer network in 16-bit lanes, two per word: a complex product is one
// multiplication of pairs with a sum (pmaddwd, VNNI), with half the instructions of scan_forward().
#pragma once

#include <cstddef>
#include <cstdint>

#include "crosstate/base/lanes.h"

namespace crosstate::kernels {

/// Two 16-bit integers in a word, `first` in its lower half.
constexpr std::int32_t pair_of(std::int16_t first, std::int16_t second) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint16_t>(second))
                                       << 16 |
                                   static_cast<std::uint16_t>(first));
}
constexpr std::int16_t first_of(std::int32_t pair) { return static_cast<std::int16_t>(pair); }
constexpr std::int16_t second_of(std::int32_t pair) {
  return static_cast<std::int16_t>(pair >> 16);
}

/// Fraction bits of A and B in this representation.
inline constexpr int kPairedFraction = 14;

/// The modes of one channel, `modes` words in each array; a real mode has ai = ci = 0.
struct PairedModes {
  std::size_t modes = 0;
  const std::int32_t* re = nullptr;     // (ar, -ai)
  const std::int32_t* im = nullptr;     // (ai, ar)
  const std::int32_t* out = nullptr;    // (cr, -ci)
  const std::int32_t* drive = nullptr;  // (b in units of 2^-14, 2^13, which rounds to nearest)
  // of a noise-shaped state, 0 .. 14; null: states are rounded to nearest
  const std::uint8_t* residue_bits = nullptr;
};

/// Number of words of the states of this many modes in 16 lanes.
constexpr std::size_t paired_state_size(std::size_t modes, bool residues) {
  return modes * (residues ? 2 : 1) * kLanes;
}

/// What scan_forward() does with a state rounded to nearest, or noise-shaped: `steps` time steps of
/// one channel in 16 lanes. u: [steps][16], whole numbers; y: [steps][16], added to; state:
/// [modes][16] pairs (re, im), in and out, and then the residues of both parts in the same form, in
/// units of 2^-14. Exact where 2 ((|ar| + |ai|) limit + b |u|) + 2^14 < 2^30 in every mode, with
/// 2^16 for 2^14 where there are residues, u has 16 bits and y stays below 2^24.
void paired_scan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                 float* y, std::int32_t* state);

}  // namespace crosstate::kernels
