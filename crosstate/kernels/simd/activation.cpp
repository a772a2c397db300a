// Activation functions and their derivatives. Magnitudes are limited before they reach exp, so that
// it never overflows. NaN must remain NaN, so limits are not implemented by Min and Max, whose
// result for NaN depends on the instruction set.
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/activation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE V set(float x) { return hn::Set(d, x); }
HWY_INLINE V at_most(float bound, V x) {
  return hn::IfThenElse(hn::Gt(x, set(bound)), set(bound), x);
}
HWY_INLINE V positive(V x) { return hn::IfThenZeroElse(hn::Le(x, set(0)), x); }
HWY_INLINE V clip01(V x) { return at_most(1, positive(x)); }

// exp(x) for -87 <= x <= 0: 2^n exp(r) with |r| <= log(2) / 2 and six Taylor terms (1.2e-7). Adding
// 1.5 * 2^23 leaves n in the low mantissa bits, from where it is shifted into the exponent.
HWY_INLINE V exp_bounded(V x) {
  const V biased = hn::MulAdd(x, set(1.44269504f), set(12582912.0f));
  const V n = hn::Sub(biased, set(12582912.0f));
  const V r = hn::NegMulAdd(n, set(-2.12194440e-4f), hn::NegMulAdd(n, set(0.693359375f), x));
  V p = hn::MulAdd(r, set(1.0f / 720), set(1.0f / 120));
  p = hn::MulAdd(r, p, set(1.0f / 24));
  p = hn::MulAdd(r, p, set(1.0f / 6));
  p = hn::MulAdd(r, p, set(0.5f));
  p = hn::MulAdd(r, p, set(1));
  p = hn::MulAdd(r, p, set(1));
  const auto exponent = hn::Add(hn::BitCast(di, biased), hn::Set(di, 127));
  return hn::Mul(p, hn::BitCast(d, hn::ShiftLeft<23>(exponent)));
}

// The normal distribution at m >= 0. Upper tail from erfc, Abramowitz and Stegun 7.1.26 (1.5e-7).
struct Normal {
  V m;        // |x|, at most 13: beyond it the tail is below 1e-37, and nothing is subnormal
  V density;  // exp(-m^2 / 2), without the factor 1 / sqrt(2 pi)
  V tail;     // 1 - Phi(m)
};
HWY_INLINE Normal normal(V x) {
  const V m = at_most(13, hn::Abs(x));
  const V density = exp_bounded(hn::Mul(hn::Mul(m, set(-0.5f)), m));
  const V t = hn::Div(set(1), hn::MulAdd(m, set(0.3275911f * 0.70710678f), set(1)));
  V p = hn::MulAdd(t, set(0.5f * 1.061405429f), set(0.5f * -1.453152027f));
  p = hn::MulAdd(t, p, set(0.5f * 1.421413741f));
  p = hn::MulAdd(t, p, set(0.5f * -0.284496736f));
  p = hn::MulAdd(t, p, set(0.5f * 0.254829592f));
  return {m, density, hn::Mul(hn::Mul(t, p), density)};
}

// sigmoid(m) and exp(-m) for m = |x|.
struct Logistic {
  V e, s;
};
HWY_INLINE Logistic logistic(V x) {
  const V e = exp_bounded(hn::Neg(at_most(87, hn::Abs(x))));
  return {e, hn::Div(set(1), hn::Add(set(1), e))};
}

struct Relu {
  static HWY_INLINE V value(V x) { return positive(x); }
  static HWY_INLINE V slope(V x) { return hn::IfThenElseZero(hn::Gt(x, set(0)), set(1)); }
};

struct Gelu {
  // x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|))
  static HWY_INLINE V value(V x) {
    const Normal n = normal(x);
    return hn::NegMulAdd(n.m, n.tail, positive(x));
  }
  // Phi(x) + x phi(x)
  static HWY_INLINE V slope(V x) {
    const Normal n = normal(x);
    const V upper = hn::NegMulAdd(hn::Mul(n.m, n.density), set(0.39894228f), n.tail);
    return hn::IfThenElse(hn::Lt(x, set(0)), upper, hn::Sub(set(1), upper));
  }
};

struct HardGelu {
  static HWY_INLINE V value(V x) {
    const V ramp = clip01(hn::MulAdd(x, set(1.0f / 3), set(0.5f)));
    return hn::IfThenZeroElse(hn::Le(x, set(-1.5f)), hn::Mul(x, ramp));
  }
  static HWY_INLINE V slope(V x) {
    const V step = hn::IfThenElseZero(hn::Gt(x, set(0)), set(1));
    return hn::IfThenElse(hn::Lt(hn::Abs(x), set(1.5f)), hn::MulAdd(x, set(2.0f / 3), set(0.5f)),
                          step);
  }
};

struct Sigmoid {
  static HWY_INLINE V value(V x) {
    const Logistic l = logistic(x);
    return hn::IfThenElse(hn::Lt(x, set(0)), hn::Mul(l.e, l.s), l.s);
  }
  static HWY_INLINE V slope(V x) {
    const Logistic l = logistic(x);
    return hn::Mul(l.e, hn::Mul(l.s, l.s));
  }
};

struct HardSigmoid {
  static HWY_INLINE V value(V x) { return clip01(hn::MulAdd(x, set(0.25f), set(0.5f))); }
  static HWY_INLINE V slope(V x) {
    return hn::IfThenElseZero(hn::Lt(hn::Abs(x), set(2)), set(0.25f));
  }
};

struct Identity {
  static HWY_INLINE V value(V x) { return x; }
  static HWY_INLINE V slope(V /*x*/) { return set(1); }
};

template <class Body>
HWY_INLINE void with_function(Activation f, Body body) {
  switch (f) {
    case Activation::kIdentity:
      return body(Identity());
    case Activation::kRelu:
      return body(Relu());
    case Activation::kGelu:
      return body(Gelu());
    case Activation::kHardGelu:
      return body(HardGelu());
    case Activation::kSigmoid:
      return body(Sigmoid());
    case Activation::kHardSigmoid:
      return body(HardSigmoid());
  }
}

void ActivationForward(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  with_function(f, [&](auto function) {
    for (std::size_t r = 0; r < rows; ++r) {
      const float* in = x.row(r);
      float* out = y.row(r);
      for (std::size_t c = 0; c < columns; c += kN) {
        hn::Store(decltype(function)::value(hn::Load(d, in + c)), d, out + c);
      }
    }
  });
}

void ActivationWithSlope(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y,
                         Rows slope) {
  with_function(f, [&](auto function) {
    for (std::size_t r = 0; r < rows; ++r) {
      const float* in = x.row(r);
      float* out = y.row(r);
      float* by = slope.row(r);
      for (std::size_t c = 0; c < columns; c += kN) {
        // The compiler computes the exponential of the two only once.
        const V v = hn::Load(d, in + c);
        hn::Store(decltype(function)::value(v), d, out + c);
        hn::Store(decltype(function)::slope(v), d, by + c);
      }
    }
  });
}

void GateAdjoint(Activation f, std::size_t rows, std::size_t columns, ConstRows value, ConstRows gy,
                 Rows gx) {
  for (std::size_t r = 0; r < rows; ++r) {
    const float* v = value.row(r);
    const float* g = gy.row(r);
    float* out = gx.row(r);
    for (std::size_t c = 0; c < columns; c += kN) {
      const V s = hn::Load(d, v + c), in = hn::Load(d, g + c);
      const V slope = hn::Mul(s, hn::Sub(set(1), s));
      hn::Store(f == Activation::kSigmoid
                    ? hn::Mul(in, slope)
                    : hn::IfThenElseZero(hn::Gt(slope, set(0)), hn::Mul(in, set(0.25f))),
                d, out + c);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(ActivationForward);
HWY_EXPORT(ActivationWithSlope);
HWY_EXPORT(GateAdjoint);

void activation_forward(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(ActivationForward)(f, rows, columns, x, y);
}

void activation_with_slope(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y,
                           Rows slope) {
  HWY_DYNAMIC_DISPATCH(ActivationWithSlope)(f, rows, columns, x, y, slope);
}

void gate_adjoint(Activation f, std::size_t rows, std::size_t columns, ConstRows value,
                  ConstRows gy, Rows gx) {
  HWY_DYNAMIC_DISPATCH(GateAdjoint)(f, rows, columns, value, gy, gx);
}

}  // namespace crosstate::kernels
#endif
