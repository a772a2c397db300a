// Sums of a noise-shaped state in binary32. A sum is stored as origin + sum, where the origin is so
// large that the last place of its mantissa is 2^-fraction: the lower `fraction` bits of the word
// are the fraction of the sum, and those above are its integer part. Rounding down, saturation and
// the residue are then integer operations:
//
//   h = origin + A x + b u + e + 1/2 + 2^-(r+1)     each multiply-add rounded to 2^-fraction
//   w = floor(h - origin)                           the nearest integer of A x + b u + e rounded to
//                                                   r bits of fraction, ties upwards in both
//   e' = (upper r bits of the fraction of h) - 1/2, or 0 where w saturates
//
// 2^-(r+1) is omitted for r = 0 (only half a step is added) and for r = fraction (no further
// rounding). Exact for |A x + e| + 1 < 2^(22-fraction), for any b u.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace crosstate::kernels {

/// The largest number of bits of a residue: those of the fraction of a pole.
inline constexpr int kMostResidueBits = 14;

/// Representation of the sums of states within +-limit.
struct HeldSums {
  /// of_limit: 2^(b-1) - 1 for b bits; b + fraction is at most 22.
  explicit HeldSums(float of_limit)
      : fraction(std::clamp(20 - std::ilogb(of_limit), 1, kMostResidueBits)),
        origin(std::ldexp(1.5f, 23 - fraction)),
        limit(of_limit) {}

  int fraction;
  float origin, limit;

  /// Mask of the integer part.
  std::int32_t whole() const { return -(std::int32_t{1} << fraction); }
};

/// Representation of the residue of one mode, with the constants of the next sum added.
struct HeldResidue {
  HeldResidue(const HeldSums& sums, int bits) {
    const int used = bits < sums.fraction ? bits : sums.fraction;
    keep = ((std::int32_t{1} << used) - 1) << (sums.fraction - used);
    const float tie = used > 0 && used < sums.fraction ? std::ldexp(1.0f, -used - 1) : 0.0f;
    rest = sums.origin + (0.5f + tie);
  }

  float rest;         // a residue of 0: origin + 1/2 + 2^-(r+1)
  std::int32_t keep;  // mask of the bits of a sum that are kept; the others are those of `rest`
};

}  // namespace crosstate::kernels
