// How many sequences the kernels process side by side.
#pragma once

#include <cstddef>

namespace crosstate {

/// Sequences per group, one per SIMD lane. Sixteen floats are one cache line and one AVX-512
/// register, two AVX2 or four NEON/SSE registers. The number is fixed rather than asked of the
/// machine, so that groups, and with them the order of every sum over a batch, are the same on all
/// instruction sets.
inline constexpr std::size_t kLanes = 16;

}  // namespace crosstate
