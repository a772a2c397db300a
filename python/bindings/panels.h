// Tensors of the caller in the layout of the kernels: panels of 16 sequences, and the threads that
// process them.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>

#include "crosstate/base/lanes.h"
#include "crosstate/base/threads.h"
#include "python/bindings/common.h"

namespace crosstate::python {

/// [batch, channels, steps], in any order in memory.
using Signal = nb::ndarray<const float, nb::ndim<3>, nb::device::cpu>;
using SignalOut = nb::ndarray<float, nb::ndim<3>, nb::device::cpu>;

inline std::size_t groups_of(const Signal& u) { return (u.shape(0) + kLanes - 1) / kLanes; }
inline std::size_t lanes_of(std::size_t batch, std::size_t group) {
  return std::min(kLanes, batch - group * kLanes);
}

/// Runs body(pool) on a pool that is kept between calls, since a layer takes less time than
/// starting threads. A call beside another one, and a forked process that lost the threads of the
/// pool while another thread was using it, run on one thread; results do not depend on it.
template <class Body>
void with_pool(int threads, const Body& body) {
  struct Kept {
    std::mutex mutex;
    std::unique_ptr<ThreadPool> pool;
    int size = 0;
    pid_t process = 0;
  };
  // Never destroyed: at exit of a forked process the threads of the pool do not exist.
  static Kept& kept = *new Kept;
  const std::unique_lock lock(kept.mutex, std::try_to_lock);
  if (!lock || threads == 1) {
    ThreadPool alone(1);
    body(alone);
    return;
  }
  if (kept.process != getpid()) {
    static_cast<void>(kept.pool.release());
    kept.process = getpid();
  }
  if (!kept.pool || kept.size != threads) {
    kept.pool = std::make_unique<ThreadPool>(threads);
    kept.size = threads;
  }
  body(*kept.pool);
}

/// Calls move(value, place in a panel [channel][step][lane]) for some channels of a group over a
/// block of time: whole lines of the panel at a time, in the order of the array in memory.
template <class T, class Move>
void visit(const nb::ndarray<T, nb::ndim<3>, nb::device::cpu>& array, std::size_t group,
           std::size_t channel, std::size_t channels, std::size_t start, std::size_t steps,
           const Move& move) {
  const std::int64_t by_batch = array.stride(0), by_channel = array.stride(1),
                     by_step = array.stride(2);
  const std::size_t lanes = lanes_of(array.shape(0), group);
  T* from[kLanes] = {};
  for (std::size_t i = 0; i < lanes; ++i) {
    from[i] = array.data() + static_cast<std::int64_t>(group * kLanes + i) * by_batch +
              static_cast<std::int64_t>(channel) * by_channel +
              static_cast<std::int64_t>(start) * by_step;
  }
  const auto line = [&](std::size_t c, std::size_t t) {
    const std::int64_t at =
        static_cast<std::int64_t>(c) * by_channel + static_cast<std::int64_t>(t) * by_step;
    const std::size_t to = (c * steps + t) * kLanes;
    if (lanes == kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) move(from[i][at], to + i);
    } else {
      for (std::size_t i = 0; i < lanes; ++i) move(from[i][at], to + i);
    }
  };
  if (by_step == 1) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t t = 0; t < steps; ++t) line(c, t);
    }
  } else {
    for (std::size_t t = 0; t < steps; ++t) {
      for (std::size_t c = 0; c < channels; ++c) line(c, t);
    }
  }
}

/// Lanes beyond the batch become 0.
inline void pack(const Signal& from, std::size_t group, std::size_t channel, std::size_t channels,
                 std::size_t start, std::size_t steps, float* panel) {
  if (lanes_of(from.shape(0), group) < kLanes) {
    std::fill_n(panel, channels * steps * kLanes, 0.0f);
  }
  visit(from, group, channel, channels, start, steps,
        [panel](const float& value, std::size_t at) { panel[at] = value; });
}
inline void unpack(const float* panel, std::size_t group, std::size_t channel, std::size_t channels,
                   std::size_t start, std::size_t steps, const SignalOut& to) {
  visit(to, group, channel, channels, start, steps,
        [panel](float& value, std::size_t at) { value = panel[at]; });
}

}  // namespace crosstate::python
