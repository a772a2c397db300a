#include "crosstate/kernels/paired_scan.h"

#include <algorithm>

#include "crosstate/kernels/reference/paired_scan.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/paired_scan.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"
#include "crosstate/kernels/simd/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

// One lane holds no pair.
void PairedScan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                float* y, std::int32_t* state) {
  reference::paired_scan(modes, limit, steps, u, y, state);
}

#else

using DP = hn::Repartition<std::int16_t, DI>;
using VP = hn::Vec<DP>;
constexpr DP dp;

// Modes per pass: a chain of one step takes some eight cycles, which others hide.
constexpr std::size_t kModesPerPass = 4;

HWY_INLINE VP pairs(std::int32_t word) { return hn::BitCast(dp, hn::Set(di, word)); }

// sum + the first of a times the first of b + the second times the second, in every word.
HWY_INLINE VI add_products(VP a, VP b, VI sum) {
#if HWY_ARCH_X86
  VI none = hn::Zero(di);  // on x86 all sums are in order and in the first of two
  return hn::ReorderWidenMulAccumulate(di, a, b, sum, none);
#else
  const VI a_words = hn::BitCast(di, a), b_words = hn::BitCast(di, b);
  const auto first = [](VI words) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(words)); };
  const auto second = [](VI words) { return hn::ShiftRight<16>(words); };
  return hn::Add(sum, hn::Add(hn::Mul(first(a_words), first(b_words)),
                              hn::Mul(second(a_words), second(b_words))));
#endif
}

// A stretch of time: inputs as pairs (u, 1), outputs as sums.
constexpr std::size_t kStretch = 32;
struct Stretch {
  alignas(64) std::int32_t in[kStretch * kLanes];
  alignas(64) std::int32_t out[kStretch * kLanes];
};

template <std::size_t kModes>
HWY_INLINE void pass(const PairedModes& m, std::size_t n, std::int16_t limit, std::size_t steps,
                     Stretch& s, std::int32_t* HWY_RESTRICT state) {
  const VP top = hn::Set(dp, limit), bottom = hn::Set(dp, static_cast<std::int16_t>(-limit));
  const VI half = hn::Set(di, 1 << (kPairedFraction - 1));
  VP re[kModes], im[kModes], by[kModes], drive[kModes], x[kModes][kV];
  for (std::size_t j = 0; j < kModes; ++j) {
    re[j] = pairs(m.re[n + j]);
    im[j] = pairs(m.im[n + j]);
    by[j] = pairs(m.out[n + j]);
    drive[j] = pairs(m.drive[n + j]);
    for (std::size_t v = 0; v < kV; ++v) {
      x[j][v] = hn::BitCast(dp, hn::Load(di, state + (n + j) * kLanes + v * kN));
    }
  }
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t v = 0; v < kV; ++v) {
      const std::size_t at = t * kLanes + v * kN;
      const VP in = hn::BitCast(dp, hn::Load(di, s.in + at));
      VI out = hn::Load(di, s.out + at);
      for (std::size_t j = 0; j < kModes; ++j) {
        const VI nr = add_products(re[j], x[j][v], add_products(drive[j], in, hn::Zero(di)));
        const VI ni = add_products(im[j], x[j][v], half);
        // The 16 bits above the fraction of both, back to back.
        const VP real = hn::BitCast(dp, hn::ShiftRight<kPairedFraction>(nr));
        const VP imaginary = hn::BitCast(dp, hn::ShiftLeft<16 - kPairedFraction>(ni));
        x[j][v] = hn::Max(hn::Min(hn::OddEven(imaginary, real), top), bottom);
        out = add_products(by[j], x[j][v], out);
      }
      hn::Store(out, di, s.out + at);
    }
  }
  for (std::size_t j = 0; j < kModes; ++j) {
    for (std::size_t v = 0; v < kV; ++v) {
      hn::Store(hn::BitCast(di, x[j][v]), di, state + (n + j) * kLanes + v * kN);
    }
  }
}

void PairedScan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                float* y, std::int32_t* state) {
  Stretch s;
  for (std::size_t first = 0; first < steps; first += kStretch) {
    const std::size_t count = std::min(kStretch, steps - first);
    for (std::size_t i = 0; i < count * kLanes; i += kN) {
      const VI in = hn::ConvertTo(di, hn::Load(d, u + first * kLanes + i));
      const VI one = hn::Set(di, pair_of(0, 1));
      hn::Store(hn::Or(hn::And(in, hn::Set(di, 0xFFFF)), one), di, s.in + i);
      hn::Store(hn::Zero(di), di, s.out + i);
    }
    std::size_t n = 0;
    for (; n + kModesPerPass <= modes.modes; n += kModesPerPass) {
      pass<kModesPerPass>(modes, n, limit, count, s, state);
    }
    for (; n < modes.modes; ++n) pass<1>(modes, n, limit, count, s, state);
    for (std::size_t i = 0; i < count * kLanes; i += kN) {
      float* const to = y + first * kLanes + i;
      hn::Store(hn::Add(hn::Load(d, to), hn::ConvertTo(d, hn::Load(di, s.out + i))), d, to);
    }
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(PairedScan);

void paired_scan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                 float* y, std::int32_t* state) {
  HWY_DYNAMIC_DISPATCH(PairedScan)(modes, limit, steps, u, y, state);
}

}  // namespace crosstate::kernels
#endif
