// Drivers and converters in lanes. Included once per instruction set.
#if defined(CROSSTATE_CROSSBAR_CONVERSION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSTATE_CROSSBAR_CONVERSION_INL_H_
#undef CROSSTATE_CROSSBAR_CONVERSION_INL_H_
#else
#define CROSSTATE_CROSSBAR_CONVERSION_INL_H_
#endif

#include <hwy/highway.h>

#include "crosstate/crossbar/conversion.h"
#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {
using namespace kernels::HWY_NAMESPACE;
namespace hn = hwy::HWY_NAMESPACE;

// x + INL(x), both in units of one step. bend: INL at its largest times 3 sqrt(3) / 2; inverse: one
// step divided by the range.
HWY_INLINE V with_inl(float bend, float inverse, V x) {
  const V one = hn::Set(d, 1.0f);
  const V t = hn::Min(hn::Max(hn::Mul(x, hn::Set(d, inverse)), hn::Neg(one)), one);
  const V cubic = hn::Sub(t, hn::Mul(hn::Mul(t, t), t));
  return hn::Add(x, hn::Mul(hn::Set(d, bend), cubic));
}

// What a converter makes of a sum.
HWY_INLINE V converted(const ColumnConversion& c, V x) {
  const V step = hn::Set(d, c.step), inverse = hn::Set(d, c.inverse);
  if (c.distorts) {
    x = hn::Mul(hn::Mul(x, hn::Set(d, c.gain)), inverse);
    x = hn::Mul(with_inl(c.bend, c.step_of_range, hn::Add(x, hn::Set(d, c.shift))), step);
  }
  if (c.high == 0) return x;
  const V between = hn::Set(d, c.between), high = hn::Set(d, c.high);
  const V steps = hn::Mul(hn::Sub(x, between), inverse);
  const V whole = hn::Floor(hn::Add(steps, hn::Set(d, 0.5f)));
  return hn::Add(hn::Mul(hn::Min(hn::Max(whole, hn::Neg(high)), high), step), between);
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::crossbar
HWY_AFTER_NAMESPACE();

#endif
