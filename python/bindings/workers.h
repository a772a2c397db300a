// What the layers of PyTorch need of the process: threads, and memory that stays mapped.
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

/// Lets the allocator of glibc keep up to 1 GiB of freed memory instead of giving it back to the
/// system: training frees and allocates the same tensors in every step, and mapping their pages
/// anew takes a twelfth of it. No effect with settings of the user (GLIBC_TUNABLES,
/// MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_), or with another allocator.
void keep_freed_memory();

}  // namespace crosstate::python
