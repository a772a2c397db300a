// Threads that compute the layers of PyTorch.
#pragma once

#include <cstddef>
#include <functional>

#include "crosstate/base/threads.h"

namespace crosstate::python {

/// Calls body(item) for every item in [0, count) on at most `threads` threads, in no fixed order.
/// Throws what the body threw first.
///
/// The threads are those of the OpenMP that PyTorch has loaded, where it is GCC's: after each of
/// its own loops they wait actively for a while, and would take the cores from any other threads.
/// Elsewhere, and in a forked process, which has lost these threads, they are those of a pool.
void parallel_for(int threads, std::size_t count, const std::function<void(std::size_t)>& body);

/// Calls body(pool) with a pool that is kept between calls, since a layer takes less time than
/// starting threads. A call beside another one runs on one thread; results do not depend on it.
void with_pool(int threads, const std::function<void(ThreadPool&)>& body);

}  // namespace crosstate::python
