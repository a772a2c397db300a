// Tensors of the caller in the layout of the kernels: panels of 16 sequences.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "crosstate/base/lanes.h"
#include "python/bindings/common.h"

namespace crosstate::python {

/// [batch, channels, steps], in any order in memory.
using Signal = nb::ndarray<const float, nb::ndim<3>, nb::device::cpu>;
using SignalOut = nb::ndarray<float, nb::ndim<3>, nb::device::cpu>;

inline std::size_t groups_of(const Signal& u) { return (u.shape(0) + kLanes - 1) / kLanes; }
inline std::size_t lanes_of(std::size_t batch, std::size_t group) {
  return std::min(kLanes, batch - group * kLanes);
}

/// Some channels of a group over a block of time, as rows that are neighbours in memory: number
/// `inner` of row `outer` of lane i is at lane[i][outer * by_outer + inner * by_inner], and at
/// place(outer, inner) + i in a panel [channel][step][lane].
template <class T>
struct Strip {
  Strip(const nb::ndarray<T, nb::ndim<3>, nb::device::cpu>& array, std::size_t group,
        std::size_t channel, std::size_t channels, std::size_t start, std::size_t step_count)
      : lanes(lanes_of(array.shape(0), group)), by_steps(array.stride(2) == 1), steps(step_count) {
    const std::int64_t by_channel = array.stride(1), by_step = array.stride(2);
    for (std::size_t i = 0; i < lanes; ++i) {
      lane[i] = array.data() + static_cast<std::int64_t>(group * kLanes + i) * array.stride(0) +
                static_cast<std::int64_t>(channel) * by_channel +
                static_cast<std::int64_t>(start) * by_step;
    }
    outers = by_steps ? channels : steps;
    inners = by_steps ? steps : channels;
    by_outer = by_steps ? by_channel : by_step;
    by_inner = by_steps ? by_step : by_channel;
  }

  T* at(std::size_t i, std::size_t outer, std::size_t inner) const {
    return lane[i] + static_cast<std::int64_t>(outer) * by_outer +
           static_cast<std::int64_t>(inner) * by_inner;
  }
  std::size_t place(std::size_t outer, std::size_t inner) const {
    return (by_steps ? outer * steps + inner : inner * steps + outer) * kLanes;
  }
  /// Number of values of a row that are moved four by four.
  std::size_t whole() const { return lanes == kLanes && by_inner == 1 ? inners - inners % 4 : 0; }

  T* lane[kLanes] = {};
  std::size_t lanes;
  bool by_steps;
  std::size_t steps, outers, inners;
  std::int64_t by_outer, by_inner;
};

/// Four floats in a register.
using Four = float __attribute__((vector_size(16)));

inline Four load_four(const float* from) {
  Four x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
inline void store_four(Four x, float* to) { std::memcpy(to, &x, sizeof x); }

/// Exchanges rows and columns.
inline void transpose(Four (&x)[4]) {
  const Four low_a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
  const Four low_b = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
  const Four high_a = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
  const Four high_b = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  x[0] = __builtin_shufflevector(low_a, low_b, 0, 1, 4, 5);
  x[1] = __builtin_shufflevector(low_a, low_b, 2, 3, 6, 7);
  x[2] = __builtin_shufflevector(high_a, high_b, 0, 1, 4, 5);
  x[3] = __builtin_shufflevector(high_a, high_b, 2, 3, 6, 7);
}

/// Lanes beyond the batch become 0.
inline void pack(const Signal& from, std::size_t group, std::size_t channel, std::size_t channels,
                 std::size_t start, std::size_t steps, float* panel) {
  const Strip strip(from, group, channel, channels, start, steps);
  if (strip.lanes < kLanes) std::fill_n(panel, channels * steps * kLanes, 0.0f);
  const std::size_t whole = strip.whole();
  for (std::size_t o = 0; o < strip.outers; ++o) {
    for (std::size_t n = 0; n < whole; n += 4) {
      for (std::size_t i = 0; i < kLanes; i += 4) {
        Four x[4];
        for (std::size_t k = 0; k < 4; ++k) x[k] = load_four(strip.at(i + k, o, n));
        transpose(x);
        for (std::size_t k = 0; k < 4; ++k) store_four(x[k], panel + strip.place(o, n + k) + i);
      }
    }
    for (std::size_t n = whole; n < strip.inners; ++n) {
      float* const to = panel + strip.place(o, n);
      for (std::size_t i = 0; i < strip.lanes; ++i) to[i] = *strip.at(i, o, n);
    }
  }
}
inline void unpack(const float* panel, std::size_t group, std::size_t channel, std::size_t channels,
                   std::size_t start, std::size_t steps, const SignalOut& to) {
  const Strip strip(to, group, channel, channels, start, steps);
  const std::size_t whole = strip.whole();
  for (std::size_t o = 0; o < strip.outers; ++o) {
    for (std::size_t n = 0; n < whole; n += 4) {
      for (std::size_t i = 0; i < kLanes; i += 4) {
        Four x[4];
        for (std::size_t k = 0; k < 4; ++k) x[k] = load_four(panel + strip.place(o, n + k) + i);
        transpose(x);
        for (std::size_t k = 0; k < 4; ++k) store_four(x[k], strip.at(i + k, o, n));
      }
    }
    for (std::size_t n = whole; n < strip.inners; ++n) {
      const float* const from = panel + strip.place(o, n);
      for (std::size_t i = 0; i < strip.lanes; ++i) *strip.at(i, o, n) = from[i];
    }
  }
}

}  // namespace crosstate::python
