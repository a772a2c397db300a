// paired_scan() in plain scalar code: the specification of the fast version, and the version for
// machines without vectors.
#pragma once

#include <algorithm>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/paired_scan.h"

namespace crosstate::kernels::reference {

/// One part of a state and its residue, in units of 2^-14.
struct PairedPart {
  std::int16_t x = 0, residue = 0;
};

/// v 2^-places, rounded to nearest with ties upwards.
constexpr std::int32_t rounded(std::int32_t v, int places) {
  return places == 0 ? v : (v + (1 << (places - 1))) >> places;
}

/// Computes a part of the next state from a sum, including the residue.
inline PairedPart paired_part(std::int32_t sum, int residue_bits, std::int16_t limit) {
  const int dropped = kPairedFraction - residue_bits;
  const std::int32_t in_register = rounded(sum, dropped);
  const std::int32_t nearest = rounded(in_register, residue_bits);
  const auto x = static_cast<std::int16_t>(std::clamp<std::int32_t>(nearest, -limit, limit));
  if (x != nearest) return {x, 0};
  const std::int32_t residue = in_register - (nearest << residue_bits);
  return {x, static_cast<std::int16_t>(residue << dropped)};
}

inline void paired_scan(const PairedModes& m, std::int16_t limit, std::size_t steps, const float* u,
                        float* y, std::int32_t* state) {
  const auto product = [](std::int32_t a, std::int32_t b) {
    return first_of(a) * first_of(b) + second_of(a) * second_of(b);
  };
  for (std::size_t i = 0; i < steps * kLanes; ++i) {
    const auto in = static_cast<std::int16_t>(u[i]);
    std::int32_t out = 0;
    for (std::size_t n = 0; n < m.modes; ++n) {
      std::int32_t& x = state[n * kLanes + i % kLanes];
      std::int32_t* const residue = m.residue_bits == nullptr ? nullptr : &x + m.modes * kLanes;
      const std::int32_t kept = residue == nullptr ? 0 : *residue;
      const int bits = residue == nullptr ? 0 : m.residue_bits[n];
      const std::int32_t real = product(m.re[n], x) + first_of(m.drive[n]) * in + first_of(kept);
      const std::int32_t imaginary = product(m.im[n], x) + second_of(kept);
      const PairedPart re = paired_part(real, bits, limit);
      const PairedPart im = paired_part(imaginary, bits, limit);
      x = pair_of(re.x, im.x);
      if (residue != nullptr) *residue = pair_of(re.residue, im.residue);
      out += product(m.out[n], x);
    }
    y[i] += static_cast<float>(out);
  }
}

}  // namespace crosstate::kernels::reference
