// Memory layout for the vector kernels: groups of sequences, and arrays at aligned addresses.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace crosstate {

/// Sequences per group, one per SIMD lane. Sixteen floats are one cache line and one AVX-512
/// register, two AVX2 or four NEON/SSE registers. The number is fixed rather than
/// machine-dependent, so that groups, and with them the order of every sum over a batch, are the
/// same on all instruction sets.
inline constexpr std::size_t kLanes = 16;

/// Allocates at 64-byte boundaries, as required by aligned vector loads.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, kAlignment); }
  bool operator==(const AlignedAllocator&) const { return true; }
};

using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

}  // namespace crosstate
