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

// A lane cannot hold a pair.
void PairedScan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                float* y, std::int32_t* state) {
  reference::paired_scan(modes, limit, steps, u, y, state);
}

#else

using DP = hn::Repartition<std::int16_t, DI>;
using VP = hn::Vec<DP>;
constexpr DP dp;

// Modes per pass: a chain of one step takes some eight cycles, which others hide. Residues take
// more registers, and their arithmetic hides it as well.
template <bool kResidues>
constexpr std::size_t kModesPerPass = kResidues&& kV > 1 ? 2 : 4;

HWY_INLINE VP pairs(std::int32_t word) { return hn::BitCast(dp, hn::Set(di, word)); }

// sum + a.first * b.first + a.second * b.second, in every word.
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

// A range of time steps: inputs as pairs (u, 1), outputs as sums.
constexpr std::size_t kStretch = 32;
struct Stretch {
  alignas(64) std::int32_t in[kStretch * kLanes];
  alignas(64) std::int32_t out[kStretch * kLanes];
};

// What rounding adds to a sum, and what it keeps of the sum for the next one. With
//
//   q = A x + b u + residue + added,     added = 2^13 + 2^(13 - r), 2^13 without residue
//
// in units of 2^-14 the state is q >> 14, and the residue of r bits stands in the upper ones of the
// bits that this drops: residue + added = (q & mask) | least of the next sum, where the state did
// not saturate, otherwise `added`.
struct PairedResidue {
  VI mask, least, added;
};
HWY_INLINE PairedResidue paired_residue(int residue_bits) {
  constexpr std::int32_t kOne = 1 << kPairedFraction;
  const std::int32_t least = kOne / 2 >> residue_bits;
  return {hn::Set(di, kOne - (kOne >> residue_bits)), hn::Set(di, least),
          hn::Set(di, residue_bits == 0 ? least : kOne / 2 + least)};
}

// Some modes of a channel; what sums begin with only where there are residues.
template <std::size_t kModes, bool kResidues>
struct Modes {
  VP re[kModes], im[kModes], by[kModes], drive[kModes], x[kModes][kV];
  PairedResidue shape[kModes];
  VI real[kModes][kV], imaginary[kModes][kV];

  HWY_INLINE Modes(const PairedModes& m, std::size_t n, const std::int32_t* HWY_RESTRICT state) {
    for (std::size_t j = 0; j < kModes; ++j) {
      re[j] = pairs(m.re[n + j]);
      im[j] = pairs(m.im[n + j]);
      by[j] = pairs(m.out[n + j]);
      drive[j] = pairs(kResidues ? pair_of(first_of(m.drive[n + j]), 0) : m.drive[n + j]);
      if constexpr (kResidues) shape[j] = paired_residue(m.residue_bits[n + j]);
      for (std::size_t v = 0; v < kV; ++v) {
        const std::int32_t* const at = state + (n + j) * kLanes + v * kN;
        x[j][v] = hn::BitCast(dp, hn::Load(di, at));
        if constexpr (kResidues) {
          const VI residue = hn::Load(di, at + m.modes * kLanes);
          const VI first = hn::ShiftRight<16>(hn::ShiftLeft<16>(residue));
          real[j][v] = hn::Add(first, shape[j].added);
          imaginary[j][v] = hn::Add(hn::ShiftRight<16>(residue), shape[j].added);
        }
      }
    }
  }

  HWY_INLINE void store(std::size_t modes, std::size_t n, std::int32_t* HWY_RESTRICT state) const {
    for (std::size_t j = 0; j < kModes; ++j) {
      for (std::size_t v = 0; v < kV; ++v) {
        std::int32_t* const at = state + (n + j) * kLanes + v * kN;
        hn::Store(hn::BitCast(di, x[j][v]), di, at);
        if constexpr (kResidues) {
          const VI first = hn::Sub(real[j][v], shape[j].added);
          const VI second = hn::Sub(imaginary[j][v], shape[j].added);
          const VI low = hn::And(first, hn::Set(di, 0xFFFF));
          hn::Store(hn::Or(low, hn::ShiftLeft<16>(second)), di, at + modes * kLanes);
        }
      }
    }
  }

  // States that saturated have no residue. beyond: where the words of pairs differ from 0.
  HWY_INLINE void forget(const VI (&beyond)[kModes], std::size_t v) {
    const VI low = hn::Set(di, 0xFFFF);
    for (std::size_t j = 0; j < kModes; ++j) {
      const auto first = hn::Eq(hn::And(beyond[j], low), hn::Zero(di));
      const auto second = hn::Eq(hn::AndNot(low, beyond[j]), hn::Zero(di));
      real[j][v] = hn::IfThenElse(first, real[j][v], shape[j].added);
      imaginary[j][v] = hn::IfThenElse(second, imaginary[j][v], shape[j].added);
    }
  }
};

template <std::size_t kModes, bool kResidues>
HWY_INLINE void pass(const PairedModes& m, std::size_t n, std::int16_t limit, std::size_t steps,
                     Stretch& s, std::int32_t* HWY_RESTRICT state) {
  const VP top = hn::Set(dp, limit), bottom = hn::Set(dp, static_cast<std::int16_t>(-limit));
  const VI half = hn::Set(di, 1 << (kPairedFraction - 1));
  Modes<kModes, kResidues> is(m, n, state);
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t v = 0; v < kV; ++v) {
      const std::size_t at = t * kLanes + v * kN;
      const VP in = hn::BitCast(dp, hn::Load(di, s.in + at));
      VI out = hn::Load(di, s.out + at);
      VI beyond[kModes], any = hn::Zero(di);
      for (std::size_t j = 0; j < kModes; ++j) {
        const VI begin = kResidues ? is.real[j][v] : hn::Zero(di);
        VP& x = is.x[j][v];
        const VI nr = add_products(is.re[j], x, add_products(is.drive[j], in, begin));
        const VI ni = add_products(is.im[j], x, kResidues ? is.imaginary[j][v] : half);
        // The 16 bits above the fraction of both, concatenated.
        const VP real = hn::BitCast(dp, hn::ShiftRight<kPairedFraction>(nr));
        const VP imaginary = hn::BitCast(dp, hn::ShiftLeft<16 - kPairedFraction>(ni));
        const VP nearest = hn::OddEven(imaginary, real);
        x = hn::Max(hn::Min(nearest, top), bottom);
        if constexpr (kResidues) {
          is.real[j][v] = hn::OrAnd(is.shape[j].least, nr, is.shape[j].mask);
          is.imaginary[j][v] = hn::OrAnd(is.shape[j].least, ni, is.shape[j].mask);
          beyond[j] = hn::BitCast(di, hn::Xor(nearest, x));
          any = hn::Or(any, beyond[j]);
        }
        out = add_products(is.by[j], x, out);
      }
      hn::Store(out, di, s.out + at);
      if constexpr (kResidues) {
        if (HWY_UNLIKELY(!hn::AllTrue(di, hn::Eq(any, hn::Zero(di))))) is.forget(beyond, v);
      }
    }
  }
  is.store(m.modes, n, state);
}

template <bool kResidues>
HWY_INLINE void scan(const PairedModes& modes, std::int16_t limit, std::size_t steps,
                     const float* u, float* y, std::int32_t* state) {
  constexpr std::size_t kModes = kModesPerPass<kResidues>;
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
    for (; n + kModes <= modes.modes; n += kModes) {
      pass<kModes, kResidues>(modes, n, limit, count, s, state);
    }
    for (; n < modes.modes; ++n) pass<1, kResidues>(modes, n, limit, count, s, state);
    for (std::size_t i = 0; i < count * kLanes; i += kN) {
      float* const to = y + first * kLanes + i;
      hn::Store(hn::Add(hn::Load(d, to), hn::ConvertTo(d, hn::Load(di, s.out + i))), d, to);
    }
  }
}

void PairedScan(const PairedModes& modes, std::int16_t limit, std::size_t steps, const float* u,
                float* y, std::int32_t* state) {
  if (modes.residue_bits == nullptr) {
    scan<false>(modes, limit, steps, u, y, state);
  } else {
    scan<true>(modes, limit, steps, u, y, state);
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
