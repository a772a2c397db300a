// Parts of an integer network as floats and doubles, for kernels/integer.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/aligned.h"
#include "crosstate/base/lanes.h"
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
class LaneFactors {
 public:
  LaneFactors() = default;
  /// second_by: what the second factors are multiplied by, or nothing.
  LaneFactors(const Requantizer& r, std::size_t rows, std::span<const std::int16_t> second_by = {})
      : first_(r.first.begin(), r.first.end()), second_(r.second.begin(), r.second.end()) {
    for (std::size_t i = 0; i < second_by.size(); ++i) second_[i] *= second_by[i];
    for (const std::int32_t shift : r.shift) {
      half_.push_back(std::ldexp(1.0, shift - 1));
      inverse_.push_back(std::ldexp(1.0, -shift));
    }
    for (AlignedDoubles* v : {&first_, &half_, &inverse_}) v->resize(rows, 0);
    if (!second_.empty()) second_.resize(rows, 0);
    fast_first_ = products(first_, inverse_);
    fast_second_ = products(second_, inverse_);
  }

  /// From row `row` on; with a table, which has an entry for every code.
  LaneRequantizer to(const CodeFormat& format, const AlignedFloats& table = {},
                     std::size_t row = 0) const {
    const bool two = !second_.empty();
    return {first_.data() + row,
            two ? second_.data() + row : nullptr,
            half_.data() + row,
            inverse_.data() + row,
            fast_first_.data() + row,
            two ? fast_second_.data() + row : nullptr,
            table.empty() ? nullptr : table.data(),
            static_cast<float>(format.low),
            static_cast<float>(format.high)};
  }
  std::size_t bytes() const {
    return 8 * (first_.size() + second_.size() + half_.size() + inverse_.size()) +
           4 * (fast_first_.size() + fast_second_.size());
  }

 private:
  static AlignedFloats products(const AlignedDoubles& factors, const AlignedDoubles& inverse) {
    AlignedFloats result;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      result.push_back(static_cast<float>(factors[i] * inverse[i]));
    }
    return result;
  }

  AlignedDoubles first_, second_, half_, inverse_;
  AlignedFloats fast_first_, fast_second_;
};

inline float pole_value(std::int16_t code) {
  return std::ldexp(static_cast<float>(code), -kPoleFraction);
}
inline float gain_value(std::int32_t shift) { return std::ldexp(1.0f, shift - kPoleFraction); }

}  // namespace crosstate
