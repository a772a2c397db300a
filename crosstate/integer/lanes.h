// Parts of an integer network as floats and doubles, for kernels/integer.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "crosstate/base/aligned.h"
#include "crosstate/integer/network.h"
#include "crosstate/kernels/integer.h"
#include "crosstate/quant/poles.h"

namespace crosstate {

using AlignedDoubles = std::vector<double, AlignedAllocator<double>>;
using AlignedWords = std::vector<std::uint32_t, AlignedAllocator<std::uint32_t>>;

/// `count` rounded up to whole groups of lanes.
inline std::size_t padded(std::size_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

template <class T>
AlignedFloats floats(const std::vector<T>& from) {
  AlignedFloats out;
  out.reserve(from.size());
  for (const T v : from) out.push_back(static_cast<float>(v));
  return out;
}

/// A Requantizer's factors; rows beyond its own, up to `rows`, give 0.
struct LaneFactors {
  AlignedDoubles first, second, half, inverse;

  LaneFactors() = default;
  LaneFactors(const Requantizer& r, std::size_t rows)
      : first(r.first.begin(), r.first.end()), second(r.second.begin(), r.second.end()) {
    for (const std::int32_t shift : r.shift) {
      half.push_back(std::ldexp(1.0, shift - 1));
      inverse.push_back(std::ldexp(1.0, -shift));
    }
    for (AlignedDoubles* v : {&first, &half, &inverse}) v->resize(rows, 0);
    if (!second.empty()) second.resize(rows, 0);
  }
  LaneRequantizer to(const CodeFormat& format) const {
    return {
        first.data(),   second.empty() ? nullptr : second.data(), half.data(),
        inverse.data(), static_cast<float>(format.low),           static_cast<float>(format.high)};
  }
  std::size_t bytes() const {
    return 8 * (first.size() + second.size() + half.size() + inverse.size());
  }
};

inline float pole_value(std::int16_t code) {
  return std::ldexp(static_cast<float>(code), -kPoleFraction);
}
inline float gain_value(std::int32_t shift) { return std::ldexp(1.0f, shift - kPoleFraction); }

}  // namespace crosstate
