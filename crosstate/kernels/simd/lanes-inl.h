// Vectors of kLanes floats, and the structure of every vector source:
//
//   // A comment on the method of the kernel.
//   #include "the header that declares it"
//   #include other headers, "crosstate/kernels/simd/targets.h" last, before any of Highway's
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "the source itself"
//   #include <hwy/foreach_target.h>     // includes the source again for each instruction set
//   #include <hwy/highway.h>
//   #include "crosstate/kernels/simd/lanes-inl.h"
//   HWY_BEFORE_NAMESPACE();             // kernels in namespace HWY_NAMESPACE, NamedLikeThis
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE                        // HWY_EXPORT of each, then the functions of the header,
//   #endif                              // named_like_this, which dispatch at run time
//
// Included once per instruction set.
#if defined(CROSSTATE_KERNELS_SIMD_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSTATE_KERNELS_SIMD_LANES_INL_H_
#undef CROSSTATE_KERNELS_SIMD_LANES_INL_H_
#else
#define CROSSTATE_KERNELS_SIMD_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include "crosstate/base/lanes.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLanes>;
using DI = hn::RebindToSigned<D>;
using DU = hn::RebindToUnsigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;
using VU = hn::Vec<DU>;
constexpr D d;
constexpr DI di;
constexpr DU du;
constexpr std::size_t kN = hn::MaxLanes(D());
constexpr std::size_t kV = kLanes / kN;  // number of vectors that hold kLanes values

// Sums over the lanes of consecutive vectors take turns in kSums accumulators. Vectors of four
// lanes (NEON) thereby add the same numbers in the same order as those of eight (AVX2).
#if HWY_MAX_BYTES == 16
constexpr std::size_t kSums = 2;
HWY_INLINE double sum(const V (&parts)[kSums]) {
  const V pairs = hn::Add(parts[0], parts[1]);
  const V halves = hn::Add(pairs, hn::Shuffle1032(pairs));
  return static_cast<double>(hn::GetLane(hn::Add(halves, hn::Shuffle2301(halves))));
}
#else
constexpr std::size_t kSums = 1;
HWY_INLINE double sum(const V (&parts)[kSums]) {
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, parts[0])));
}
#endif
HWY_INLINE void clear(V (&parts)[kSums]) {
  for (V& part : parts) part = hn::Zero(d);
}
// The product of every part with `by`, summed.
HWY_INLINE double scaled_sum(V by, const V (&parts)[kSums]) {
  V products[kSums];
  for (std::size_t s = 0; s < kSums; ++s) products[s] = hn::Mul(by, parts[s]);
  return sum(products);
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#endif
