#include "crosstate/kernels/integer.h"

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace crosstate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLanes>;
using V = hn::Vec<D>;
constexpr D d;
constexpr std::size_t kN = hn::MaxLanes(D());

// Doubles, and as many floats.
using DD = hn::CappedTag<double, kLanes>;
using DF = hn::Rebind<float, DD>;
using VD = hn::Vec<DD>;
constexpr DD dd;
constexpr DF df;
constexpr std::size_t kWide = hn::MaxLanes(DD());

struct Factors {
  VD first, second, half, inverse;
};

HWY_INLINE void requantize(const Factors& f, VD low, VD high, const float* p, const float* q,
                           float* out) {
  VD sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, p)), f.first, f.half);
  if (q != nullptr) sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, q)), f.second, sum);
  const VD code = hn::Floor(hn::Mul(sum, f.inverse));
  hn::Store(hn::DemoteTo(df, hn::Min(hn::Max(code, low), high)), df, out);
}

void RequantizeRows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                    ConstRows q, Rows out) {
  const VD low = hn::Set(dd, static_cast<double>(r.low));
  const VD high = hn::Set(dd, static_cast<double>(r.high));
  for (std::size_t i = 0; i < rows; ++i) {
    const bool two = r.second != nullptr;
    const Factors f{hn::Set(dd, r.first[i]), two ? hn::Set(dd, r.second[i]) : hn::Zero(dd),
                    hn::Set(dd, r.half[i]), hn::Set(dd, r.inverse[i])};
    for (std::size_t c = 0; c < columns; c += kWide) {
      requantize(f, low, high, p.row(i) + c, two ? q.row(i) + c : nullptr, out.row(i) + c);
    }
  }
}

void RequantizeEach(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                    float* out) {
  const VD low = hn::Set(dd, static_cast<double>(r.low));
  const VD high = hn::Set(dd, static_cast<double>(r.high));
  const bool two = r.second != nullptr;
  for (std::size_t i = 0; i < count; i += kWide) {
    const Factors f{hn::Load(dd, r.first + i), two ? hn::Load(dd, r.second + i) : hn::Zero(dd),
                    hn::Load(dd, r.half + i), hn::Load(dd, r.inverse + i)};
    requantize(f, low, high, p + i, two ? q + i : nullptr, out + i);
  }
}

HWY_INLINE V round_state(V x, V low, V high) { return hn::Max(hn::Min(hn::Round(x), high), low); }

template <bool kComplex>
HWY_INLINE void scan_step(const StreamModes& m, const float* HWY_RESTRICT u, float* HWY_RESTRICT xr,
                          float* HWY_RESTRICT xi, float* HWY_RESTRICT y) {
  const V tie = hn::Set(d, kScanTie), high = hn::Set(d, m.limit), low = hn::Set(d, -m.limit);
  for (std::size_t c = 0; c < m.channels; c += kN) {
    const V in = hn::Load(d, u + c);
    V out = hn::Zero(d);
    for (std::size_t n = 0; n < m.modes; ++n) {
      const std::size_t i = n * m.channels + c;
      const V ar = hn::Load(d, m.ar + i), re = hn::Load(d, xr + i);
      V next = hn::MulAdd(ar, re, hn::MulAdd(hn::Load(d, m.b + i), in, tie));
      if constexpr (kComplex) {
        const V ai = hn::Load(d, m.ai + i), im = hn::Load(d, xi + i);
        next = hn::NegMulAdd(ai, im, next);
        const V other = round_state(hn::MulAdd(ar, im, hn::MulAdd(ai, re, tie)), low, high);
        hn::Store(other, d, xi + i);
        out = hn::NegMulAdd(hn::Load(d, m.ci + i), other, out);
      }
      next = round_state(next, low, high);
      hn::Store(next, d, xr + i);
      out = hn::MulAdd(hn::Load(d, m.cr + i), next, out);
    }
    hn::Store(out, d, y + c);
  }
}

void StreamScan(const StreamModes& m, const float* u, float* xr, float* xi, float* y) {
  if (m.ai != nullptr) {
    scan_step<true>(m, u, xr, xi, y);
  } else {
    scan_step<false>(m, u, xr, xi, y);
  }
}

void StreamLinear(const float* HWY_RESTRICT transposed, const float* HWY_RESTRICT bias,
                  std::size_t inputs, std::size_t outputs, const float* HWY_RESTRICT x,
                  float* HWY_RESTRICT y) {
  for (std::size_t o = 0; o < outputs; o += kN) {
    // Two sums, so that one addition need not wait for the other.
    V even = hn::Load(d, bias + o), odd = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 1 < inputs; i += 2) {
      const float* w = transposed + i * outputs + o;
      even = hn::MulAdd(hn::Set(d, x[i]), hn::Load(d, w), even);
      odd = hn::MulAdd(hn::Set(d, x[i + 1]), hn::Load(d, w + outputs), odd);
    }
    if (i < inputs) {
      even = hn::MulAdd(hn::Set(d, x[i]), hn::Load(d, transposed + i * outputs + o), even);
    }
    hn::Store(hn::Add(even, odd), d, y + o);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate {

HWY_EXPORT(RequantizeRows);
HWY_EXPORT(RequantizeEach);
HWY_EXPORT(StreamScan);
HWY_EXPORT(StreamLinear);

void requantize_rows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                     ConstRows q, Rows out) {
  HWY_DYNAMIC_DISPATCH(RequantizeRows)(r, rows, columns, p, q, out);
}

void requantize_each(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                     float* out) {
  HWY_DYNAMIC_DISPATCH(RequantizeEach)(r, count, p, q, out);
}

void stream_scan(const StreamModes& modes, const float* u, float* xr, float* xi, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamScan)(modes, u, xr, xi, y);
}

void stream_linear(const float* transposed, const float* bias, std::size_t inputs,
                   std::size_t outputs, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamLinear)(transposed, bias, inputs, outputs, x, y);
}

}  // namespace crosstate
#endif
