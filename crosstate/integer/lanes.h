// Converts parts of an integer network to floats and doubles, for kernels/integer.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/integer/network.h"
#include "crosstate/kernels/integer.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer {

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

inline float largest_magnitude(const CodeFormat& f) {
  return static_cast<float>(std::max(std::abs(f.quant_min), std::abs(f.quant_max)));
}

/// A table indexed by codes.
class CodeEntries {
 public:
  CodeEntries() = default;
  explicit CodeEntries(const std::vector<std::int32_t>& table) : values_(floats(table)) {
    constexpr std::size_t kBytes = 256;
    if (table.empty()) return;
    const auto [low, high] = std::minmax_element(table.begin(), table.end());
    lowest_ = static_cast<float>(*low);
    if (table.size() > kBytes || *high - *low >= static_cast<std::int32_t>(kBytes)) return;
    for (const std::int32_t v : table) bytes_.push_back(static_cast<std::uint8_t>(v - *low));
    bytes_.resize(kBytes, 0);
  }

  kernels::LaneTable lanes() const {
    return {values_.data(), bytes_.empty() ? nullptr : bytes_.data(), lowest_};
  }
  const AlignedFloats& values() const { return values_; }
  std::size_t bytes() const { return 4 * values_.size() + bytes_.size(); }

 private:
  AlignedFloats values_;
  std::vector<std::uint8_t, AlignedAllocator<std::uint8_t>> bytes_;
  float lowest_ = 0;
};

/// Factors of a Requantizer; additional rows, up to `rows`, give 0.
class LaneFactors {
 public:
  LaneFactors() = default;
  /// q: the codes of the second values, if there are any; second_by: multipliers of the second
  /// factors, or null. whole: whether values are always integers. The shift before the product of a
  /// row becomes part of the factor, which differs from integer arithmetic.
  LaneFactors(const Requantizer& r, std::size_t rows, const CodeFormat& q = {},
              std::span<const std::int16_t> second_by = {}, bool whole = true)
      : first_(r.first.begin(), r.first.end()),
        second_(r.second.begin(), r.second.end()),
        second_most_(largest_magnitude(q)) {
    for (std::size_t i = 0; i < first_.size(); ++i) {
      first_[i] = std::ldexp(first_[i], -r.early_of(i));
    }
    for (std::size_t i = 0; i < second_by.size(); ++i) second_[i] *= second_by[i];
    for (const std::int32_t shift : r.shift) {
      half_.push_back(std::ldexp(1.0, shift - 1));
      inverse_.push_back(std::ldexp(1.0, -shift));
    }
    for (AlignedDoubles* v : {&first_, &half_, &inverse_}) v->resize(rows, 0);
    if (!second_.empty()) second_.resize(rows, 0);
    fast_first_ = products(first_, inverse_);
    fast_second_ = products(second_, inverse_);
    for (std::size_t i = 0; i < rows; ++i) {
      const double last =
          std::min(last_place(first_[i]), second_.empty() ? kNone : last_place(second_[i]));
      // No more than decides the middle.
      const double unit = std::min(last * inverse_[i], 0.5);
      tie_.push_back(whole && unit >= kCoarse ? static_cast<float>(unit / 2) : 0.0f);
    }
  }

  /// Factors from row `row` on; with a table that has an entry for every code and outlives the
  /// result.
  kernels::LaneRequantizer to(const CodeFormat& format, const kernels::LaneTable* table = nullptr,
                              std::size_t row = 0) const {
    const bool two = !second_.empty();
    return {first_.data() + row,
            two ? second_.data() + row : nullptr,
            half_.data() + row,
            inverse_.data() + row,
            fast_first_.data() + row,
            two ? fast_second_.data() + row : nullptr,
            tie_.data() + row,
            table,
            static_cast<float>(format.quant_min),
            static_cast<float>(format.quant_max),
            second_most_};
  }
  std::size_t bytes() const {
    return 8 * (first_.size() + second_.size() + half_.size() + inverse_.size()) +
           4 * (fast_first_.size() + fast_second_.size() + tie_.size());
  }

 private:
  static AlignedFloats products(const AlignedDoubles& factors, const AlignedDoubles& inverse) {
    AlignedFloats result;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      result.push_back(static_cast<float>(factors[i] * inverse[i]));
    }
    return result;
  }

  static constexpr double kCoarse = 0x1p-12, kNone = 0x1p60;

  /// The largest power of two that divides an integer; kNone for 0.
  static double last_place(double v) {
    const auto bits = static_cast<std::int64_t>(v);
    return bits == 0 ? kNone : static_cast<double>(bits & -bits);
  }

  AlignedDoubles first_, second_, half_, inverse_;
  AlignedFloats fast_first_, fast_second_, tie_;
  float second_most_ = 0;
};

}  // namespace crosstate::integer
