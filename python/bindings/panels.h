// Tensors of the caller in the layout of the kernels: panels of 16 sequences.
#pragma once

#include <algorithm>
#include <cstdint>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/lane_rows.h"
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
/// `inner` of row `outer` of lane i is at rows.lane[i][outer * rows.by_row + inner * by_inner], and
/// at outer * places.by_row + inner * places.by_column + i in a panel [channel][step][lane].
template <class T>
struct Strip {
  Strip(const nb::ndarray<T, nb::ndim<3>, nb::device::cpu>& array, std::size_t group,
        std::size_t channel, std::size_t channels, std::size_t start, std::size_t steps)
      : lanes(lanes_of(array.shape(0), group)) {
    const std::int64_t by_channel = array.stride(1), by_step = array.stride(2);
    for (std::size_t i = 0; i < lanes; ++i) {
      rows.lane[i] = array.data() +
                     static_cast<std::int64_t>(group * kLanes + i) * array.stride(0) +
                     static_cast<std::int64_t>(channel) * by_channel +
                     static_cast<std::int64_t>(start) * by_step;
    }
    const bool by_steps = by_step == 1;
    outers = by_steps ? channels : steps;
    inners = by_steps ? steps : channels;
    rows.by_row = by_steps ? by_channel : by_step;
    by_inner = by_steps ? by_step : by_channel;
    places = {by_steps ? steps * kLanes : kLanes, by_steps ? kLanes : steps * kLanes};
  }

  /// Whether the kernels move it.
  bool whole() const { return lanes == kLanes && by_inner == 1; }

  /// move(value of the array, its place in the panel)
  template <class Move>
  void each(const Move& move) const {
    for (std::size_t o = 0; o < outers; ++o) {
      for (std::size_t n = 0; n < inners; ++n) {
        const std::int64_t at =
            static_cast<std::int64_t>(o) * rows.by_row + static_cast<std::int64_t>(n) * by_inner;
        const std::size_t place = o * places.by_row + n * places.by_column;
        for (std::size_t i = 0; i < lanes; ++i) move(rows.lane[i][at], place + i);
      }
    }
  }

  kernels::LaneRows<T> rows = {};
  kernels::PanelPlaces places;
  std::size_t lanes, outers, inners;
  std::int64_t by_inner;
};

/// Lanes beyond the batch become 0.
inline void pack(const Signal& from, std::size_t group, std::size_t channel, std::size_t channels,
                 std::size_t start, std::size_t steps, float* panel) {
  const Strip strip(from, group, channel, channels, start, steps);
  if (strip.whole()) {
    kernels::to_panel(strip.rows, strip.outers, strip.inners, strip.places, panel);
    return;
  }
  if (strip.lanes < kLanes) std::fill_n(panel, channels * steps * kLanes, 0.0f);
  strip.each([&](float x, std::size_t at) { panel[at] = x; });
}
inline void unpack(const float* panel, std::size_t group, std::size_t channel, std::size_t channels,
                   std::size_t start, std::size_t steps, const SignalOut& to) {
  const Strip strip(to, group, channel, channels, start, steps);
  if (strip.whole()) {
    kernels::from_panel(panel, strip.places, strip.outers, strip.inners, strip.rows);
    return;
  }
  strip.each([&](float& x, std::size_t at) { x = panel[at]; });
}

}  // namespace crosstate::python
