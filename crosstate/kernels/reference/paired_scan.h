// paired_scan() as plain code: the specification of the fast form, and the form of machines without
// vectors.
#pragma once

#include <algorithm>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/paired_scan.h"

namespace crosstate::kernels::reference {

inline void paired_scan(const PairedModes& m, std::int16_t limit, std::size_t steps, const float* u,
                        float* y, std::int32_t* state) {
  constexpr std::int32_t kHalf = 1 << (kPairedFraction - 1);
  const auto codes = [&](std::int32_t sum) {
    const std::int32_t nearest = sum >> kPairedFraction;
    return static_cast<std::int16_t>(std::clamp<std::int32_t>(nearest, -limit, limit));
  };
  const auto product = [](std::int32_t a, std::int32_t b) {
    return first_of(a) * first_of(b) + second_of(a) * second_of(b);
  };
  for (std::size_t i = 0; i < steps * kLanes; ++i) {
    const std::int32_t in = pair_of(static_cast<std::int16_t>(u[i]), 1);
    std::int32_t out = 0;
    for (std::size_t n = 0; n < m.modes; ++n) {
      std::int32_t& x = state[n * kLanes + i % kLanes];
      x = pair_of(codes(product(m.re[n], x) + product(m.drive[n], in)),
                  codes(product(m.im[n], x) + kHalf));
      out += product(m.out[n], x);
    }
    y[i] += static_cast<float>(out);
  }
}

}  // namespace crosstate::kernels::reference
