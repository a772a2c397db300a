// Rounding of the state in lanes, shared by the scans over sequences and over channels. Included
// once per instruction set, after <hwy/highway.h>.
#if defined(CROSSTATE_KERNELS_SIMD_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSTATE_KERNELS_SIMD_ROUNDING_INL_H_
#undef CROSSTATE_KERNELS_SIMD_ROUNDING_INL_H_
#else
#define CROSSTATE_KERNELS_SIMD_ROUNDING_INL_H_
#endif

#include <hwy/highway.h>

#include "crosstate/kernels/residue.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/simd/lanes-inl.h"
#include "crosstate/kernels/state_draws.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

enum class Rounding { kNone, kNearest, kStochastic, kNoiseShaped };

// Two ways to the same integers (the sign of a zero aside). The forward pass is bound by latency
// and takes the shorter chain: Round, Min, Max. The recomputation inside the adjoint is bound by
// AMD's two multiplier pipes, where the float Min and Max queue: adding 1.5 * 2^23 leaves the
// rounded integer in the low mantissa bits, where saturating is an integer minimum and maximum on
// other pipes. With AVX-512, both round and take the value of least magnitude. Measured on an Intel
// Xeon: forward 0.16 ns instead of 0.19 with Min and Max, adjoint 0.47 instead of 0.75 with
// integers.
enum class Form { kDirect, kBiased };
constexpr float kMagic = 12582912.0f;

#if HWY_TARGET <= HWY_AVX3
/// x within +-limit, in one instruction.
HWY_INLINE V least_magnitude(V x, V limit) {
  constexpr int kLeastMagnitudeWithSignOfFirst = 2;
  return V{_mm512_range_ps(x.raw, limit.raw, kLeastMagnitudeWithSignOfFirst)};
}
#endif

/// The larger one of a magnitude and that of x.
HWY_INLINE V greatest_magnitude(V magnitude, V x) {
#if HWY_TARGET <= HWY_AVX3
  constexpr int kGreatestMagnitudeWithoutSign = 11;
  return V{_mm512_range_ps(magnitude.raw, x.raw, kGreatestMagnitudeWithoutSign)};
#else
  return hn::Max(magnitude, hn::Abs(x));
#endif
}

struct Saturation {
  explicit Saturation(float limit)
      : tie(hn::Set(d, kScanTie)),
        magic(hn::Set(d, kMagic)),
        low(hn::BitCast(di, hn::Set(d, kMagic - limit))),
        high(hn::BitCast(di, hn::Set(d, kMagic + limit))),
        top(hn::Set(d, limit)),
        bottom(hn::Set(d, -limit)),
        limit_bits(hn::BitCast(di, top)) {}

  /// The state for a sum that includes its offset.
  template <Rounding kRounding, Form kForm>
  HWY_INLINE V round(V sum) const {
    if constexpr (kRounding == Rounding::kNone) return sum;
#if HWY_TARGET <= HWY_AVX3
    return least_magnitude(hn::Round(sum), top);
#else
    if constexpr (kForm == Form::kDirect) {
      return hn::Max(hn::Min(hn::Round(sum), top), bottom);
    } else {
      const VI nearest = hn::BitCast(di, hn::Add(sum, magic));
      return hn::Sub(hn::BitCast(d, hn::Max(hn::Min(nearest, high), low)), magic);
    }
#endif
  }
  /// `gradient` where the rounded state x did not saturate, 0 elsewhere.
  HWY_INLINE V pass(V x, V gradient) const {
    const VI magnitude = hn::And(hn::BitCast(di, x), hn::Set(di, 0x7FFFFFFF));
    return hn::IfThenElseZero(hn::RebindMask(d, hn::Lt(magnitude, limit_bits)), gradient);
  }

  /// Whether a state of that magnitude, in any lane, saturated.
  HWY_INLINE bool reached(V magnitude) const { return !hn::AllTrue(d, hn::Lt(magnitude, top)); }

  V tie, magic;
  VI low, high;
  V top, bottom;
  VI limit_bits;
};

/// HeldResidue of residue.h; lanes are of one mode, or of different modes.
struct Residue {
  Residue() = default;
  Residue(V of_rest, VI of_keep) : rest(hn::BitCast(di, of_rest)), keep(of_keep) {}
  explicit Residue(const HeldResidue& held)
      : Residue(hn::Set(d, held.rest), hn::Set(di, held.keep)) {}
  VI rest, keep;
};

/// HeldSums of residue.h.
struct HeldShaping {
  explicit HeldShaping(const HeldSums& sums)
      : origin(hn::Set(d, sums.origin)),
        limit(hn::Set(d, sums.limit)),
        low(hn::BitCast(di, hn::Set(d, sums.origin - sums.limit))),
        high(hn::BitCast(di, hn::Set(d, sums.origin + sums.limit))),
        whole(hn::Set(di, sums.whole())) {}

  /// The state for a sum that started at `residue`, which is updated. Beyond the range where the
  /// bits of its integer part are these, a sum remains beyond it.
  HWY_INLINE V round(V held, const Residue& r, V& residue) const {
    const VI sum = hn::BitCast(di, held);
    const VI nearest = hn::And(sum, whole);
#if HWY_TARGET <= HWY_AVX3
    constexpr int kSecondWhereThirdElseFirst = 0xd8;
    const V exact = hn::Sub(hn::BitCast(d, nearest), origin);
    const V x = least_magnitude(exact, limit);
    residue =
        hn::BitCast(d, VI{_mm512_mask_ternarylogic_epi32(r.rest.raw, hn::Eq(x, exact).raw, sum.raw,
                                                         r.keep.raw, kSecondWhereThirdElseFirst)});
    return x;
#else
    // Integers saturate in fewer cycles than floats, on which the next sum waits.
    const VI saturated = hn::Max(hn::Min(nearest, high), low);
    const VI kept = hn::And(r.keep, hn::VecFromMask(di, hn::Eq(saturated, nearest)));
    residue = hn::BitCast(d, hn::Xor(r.rest, hn::And(hn::Xor(sum, r.rest), kept)));
    return hn::Sub(hn::BitCast(d, saturated), origin);
#endif
  }

  V origin, limit;
  VI low, high, whole;
};

/// mix() of state_draws.h.
HWY_INLINE VU mix_lanes(VU x) {
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), hn::Set(du, kMixFirst));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(du, kMixSecond));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

/// Offsets of both parts of a state's sum before rounding.
struct Offsets {
  V re, im;
};

/// Scale of draws, and the centre of the scaled draws.
struct Spread {
  explicit Spread(float of = 1) : by(hn::Set(d, of)), middle(hn::Set(d, of * (1.5f - kScanTie))) {}
  V by, middle;
};

/// (k + 1/2) 2^-14 - 1/2 of both draws k, times their spreads. A draw becomes the upper bits of the
/// mantissa of 1 + k 2^-14, from which a subtraction gives the offset.
HWY_INLINE Offsets draw_offsets(const Spread& real, const Spread& imaginary, VU key,
                                std::uint32_t mixed_step) {
  constexpr int kMantissa = 23;
  const VU mask = hn::Set(du, ((1u << kStateDrawBits) - 1) << (kMantissa - kStateDrawBits));
  const VU one = hn::BitCast(du, hn::Set(d, 1.0f));
  const VU bits = mix_lanes(hn::Xor(key, hn::Set(du, mixed_step)));
  const VU re = hn::ShiftRight<32 - kMantissa>(bits);
  const VU im = hn::ShiftLeft<kMantissa + kStateDrawBits - 32>(bits);
  return {hn::MulSub(hn::BitCast(d, hn::OrAnd(one, re, mask)), real.by, real.middle),
          hn::MulSub(hn::BitCast(d, hn::OrAnd(one, im, mask)), imaginary.by, imaginary.middle)};
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#endif
