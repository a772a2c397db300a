#include "crosstate/kernels/integer.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Doubles, and as many floats.
using DD = hn::CappedTag<double, kLanes>;
using DF = hn::Rebind<float, DD>;
using VD = hn::Vec<DD>;
constexpr DD dd;
constexpr DF df;
constexpr std::size_t kWide = hn::MaxLanes(DD());

// A requantizer in floats decides all but values so near to a whole number that its error could
// carry them across; those go through doubles, which are exact. The factor, the products and the
// sums are each rounded once: together less than 2^-22 (|p first| + |q second| + 1), in steps.
constexpr float kDoubt = 0x1p-22f;

struct Exact {
  VD first, second, half, inverse;
};

HWY_INLINE VD exact_code(const Exact& f, VD low, VD high, const float* p, const float* q) {
  VD sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, p)), f.first, f.half);
  if (q != nullptr) sum = hn::MulAdd(hn::PromoteTo(dd, hn::Load(df, q)), f.second, sum);
  return hn::Min(hn::Max(hn::Floor(hn::Mul(sum, f.inverse)), low), high);
}

// Codes of kN values; `exact(v)` are the factors of those from v on.
template <class ExactFactors>
HWY_NOINLINE void requantize_exactly(const LaneRequantizer& r, const ExactFactors& exact,
                                     const float* p, const float* q, float* out) {
  const VD low = hn::Set(dd, static_cast<double>(r.low));
  const VD high = hn::Set(dd, static_cast<double>(r.high));
  for (std::size_t v = 0; v < kN; v += kWide) {
    const VD code = exact_code(exact(v), low, high, p + v, q != nullptr ? q + v : nullptr);
    hn::Store(hn::DemoteTo(df, code), df, out + v);
  }
}

struct Bounds {
  explicit Bounds(const LaneRequantizer& r)
      : low(hn::Set(d, r.low + 0.5f)),
        high(hn::Set(d, r.high + 0.5f)),
        sure(hn::Set(d, 0.5f - kDoubt * (std::max(std::abs(r.low), std::abs(r.high)) + 2))) {}
  V low, high;  // floor() makes the lowest and the highest code of them
  V sure;       // distance from the middle between two whole numbers, with one product
};

// kN values by float factors, to codes in `out`. False where a value is in doubt.
template <bool kTwo>
HWY_INLINE bool requantize_fast(const Bounds& bounds, V first, V second, const float* p,
                                const float* q, V& code) {
  const V half = hn::Set(d, 0.5f), a = hn::Load(d, p);
  V sum = half, sure = bounds.sure;
  if constexpr (kTwo) {
    const V b = hn::Load(d, q);
    sum = hn::MulAdd(b, second, half);
    const V size = hn::MulAdd(hn::Abs(a), hn::Abs(first), hn::Abs(hn::Mul(b, second)));
    sure = hn::NegMulAdd(hn::Set(d, kDoubt), size, hn::Set(d, 0.5f - kDoubt));
  }
  sum = hn::Min(hn::Max(hn::MulAdd(a, first, sum), bounds.low), bounds.high);
  code = hn::Floor(sum);
  return hn::AllTrue(d, hn::Lt(hn::Abs(hn::Sub(hn::Sub(sum, code), half)), sure));
}

template <bool kTwo, class ExactFactors>
HWY_INLINE void requantize(const LaneRequantizer& r, const Bounds& bounds, V first, V second,
                           const ExactFactors& exact, const float* p, const float* q, float* out) {
  V code;
  if (HWY_UNLIKELY((!requantize_fast<kTwo>(bounds, first, second, p, q, code)))) {
    alignas(64) float codes[kN];
    requantize_exactly(r, exact, p, q, codes);
    code = hn::Load(d, codes);
  }
  if (r.table != nullptr) {
    code =
        hn::GatherIndex(d, r.table - static_cast<std::ptrdiff_t>(r.low), hn::ConvertTo(di, code));
  }
  hn::Store(code, d, out);
}

template <bool kTwo>
void requantize_rows_of(const LaneRequantizer& r, std::size_t rows, std::size_t columns,
                        ConstRows p, ConstRows q, Rows out) {
  const Bounds bounds(r);
  for (std::size_t i = 0; i < rows; ++i) {
    const Exact factors{hn::Set(dd, r.first[i]), kTwo ? hn::Set(dd, r.second[i]) : hn::Zero(dd),
                        hn::Set(dd, r.half[i]), hn::Set(dd, r.inverse[i])};
    const auto exact = [&](std::size_t) { return factors; };
    const V first = hn::Set(d, r.fast_first[i]);
    const V second = hn::Set(d, kTwo ? r.fast_second[i] : 0.0f);
    for (std::size_t c = 0; c < columns; c += kN) {
      requantize<kTwo>(r, bounds, first, second, exact, p.row(i) + c, kTwo ? q.row(i) + c : nullptr,
                       out.row(i) + c);
    }
  }
}

void RequantizeRows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                    ConstRows q, Rows out) {
  if (r.second != nullptr) {
    requantize_rows_of<true>(r, rows, columns, p, q, out);
  } else {
    requantize_rows_of<false>(r, rows, columns, p, q, out);
  }
}

template <bool kTwo>
void requantize_each_of(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                        float* out) {
  const Bounds bounds(r);
  for (std::size_t i = 0; i < count; i += kN) {
    const auto exact = [&](std::size_t v) {
      return Exact{hn::Load(dd, r.first + i + v),
                   kTwo ? hn::Load(dd, r.second + i + v) : hn::Zero(dd),
                   hn::Load(dd, r.half + i + v), hn::Load(dd, r.inverse + i + v)};
    };
    const V first = hn::Load(d, r.fast_first + i);
    const V second = kTwo ? hn::Load(d, r.fast_second + i) : hn::Zero(d);
    requantize<kTwo>(r, bounds, first, second, exact, p + i, kTwo ? q + i : nullptr, out + i);
  }
}

void RequantizeEach(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                    float* out) {
  if (r.second != nullptr) {
    requantize_each_of<true>(r, count, p, q, out);
  } else {
    requantize_each_of<false>(r, count, p, q, out);
  }
}

template <bool kComplex, Rounding kRounding>
HWY_INLINE void scan_step(const StreamModes& m, std::uint32_t step, const float* HWY_RESTRICT u,
                          const StreamState& s, float* HWY_RESTRICT y) {
  constexpr bool kFeedback = kRounding == Rounding::kFeedback;
  const Saturation saturation(m.limit);
  for (std::size_t c = 0; c < m.channels; c += kN) {
    const V in = hn::Load(d, u + c);
    V out = hn::Zero(d);
    for (std::size_t n = 0; n < m.modes; ++n) {
      const std::size_t i = n * m.channels + c;
      Offsets offset{saturation.tie, saturation.tie};
      if constexpr (kRounding == Rounding::kStochastic) {
        offset = draw_offsets(hn::Load(du, m.keys + i), step);
      }
      if constexpr (kFeedback) {
        offset = {hn::Load(d, s.er + i), kComplex ? hn::Load(d, s.ei + i) : hn::Zero(d)};
      }
      const V ar = hn::Load(d, m.ar + i), re = hn::Load(d, s.xr + i);
      V next = hn::MulAdd(ar, re, hn::MulAdd(hn::Load(d, m.b + i), in, offset.re));
      if constexpr (kComplex) {
        const V ai = hn::Load(d, m.ai + i), im = hn::Load(d, s.xi + i);
        next = hn::NegMulAdd(ai, im, next);
        const V sum = hn::MulAdd(ar, im, hn::MulAdd(ai, re, offset.im));
        const V other = saturation.round<kRounding, Form::kDirect>(sum, offset.im);
        hn::Store(other, d, s.xi + i);
        if constexpr (kFeedback) hn::Store(offset.im, d, s.ei + i);
        out = hn::NegMulAdd(hn::Load(d, m.ci + i), other, out);
      }
      next = saturation.round<kRounding, Form::kDirect>(next, offset.re);
      hn::Store(next, d, s.xr + i);
      if constexpr (kFeedback) hn::Store(offset.re, d, s.er + i);
      out = hn::MulAdd(hn::Load(d, m.cr + i), next, out);
    }
    hn::Store(out, d, y + c);
  }
}

template <Rounding kRounding>
void scan_step_of(const StreamModes& m, std::uint32_t step, const float* u, const StreamState& s,
                  float* y) {
  if (m.ai != nullptr) {
    scan_step<true, kRounding>(m, step, u, s, y);
  } else {
    scan_step<false, kRounding>(m, step, u, s, y);
  }
}

void StreamScan(const StreamModes& m, std::uint32_t step, const float* u, const StreamState& s,
                float* y) {
  switch (m.rounding) {
    case RoundingMode::kNearest:
      return scan_step_of<Rounding::kNearest>(m, step, u, s, y);
    case RoundingMode::kStochastic:
      return scan_step_of<Rounding::kStochastic>(m, mix(step), u, s, y);
    case RoundingMode::kFeedback:
      return scan_step_of<Rounding::kFeedback>(m, step, u, s, y);
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

void stream_scan(const StreamModes& modes, std::uint32_t step, const float* u,
                 const StreamState& state, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamScan)(modes, step, u, state, y);
}

void stream_linear(const float* transposed, const float* bias, std::size_t inputs,
                   std::size_t outputs, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(StreamLinear)(transposed, bias, inputs, outputs, x, y);
}

}  // namespace crosstate
#endif
