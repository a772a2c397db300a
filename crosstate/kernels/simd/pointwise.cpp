// Kernels that read each element once: products, sums, scaling, fake quantization.
#include "crosstate/kernels/pointwise.h"

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/pointwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// `x` with zeros in the columns from `c` on that the mask excludes, even if they are NaN.
HWY_INLINE V unmasked(const float* mask, std::size_t c, V x) {
  if (mask == nullptr) return x;
  return hn::IfThenElseZero(hn::Ne(hn::Load(d, mask + c), hn::Zero(d)), x);
}

void Multiply(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, Rows out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; c += kN) {
      const V product = hn::Mul(hn::Load(d, a.row(r) + c), hn::Load(d, b.row(r) + c));
      hn::Store(product, d, out.row(r) + c);
    }
  }
}

void MultiplyAdd(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, ConstRows add,
                 Rows out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; c += kN) {
      const V total = hn::MulAdd(hn::Load(d, a.row(r) + c), hn::Load(d, b.row(r) + c),
                                 hn::Load(d, add.row(r) + c));
      hn::Store(total, d, out.row(r) + c);
    }
  }
}

void Accumulate(const float* scale, std::size_t rows, std::size_t columns, ConstRows a, Rows out) {
  for (std::size_t r = 0; r < rows; ++r) {
    const V by = hn::Set(d, scale != nullptr ? scale[r] : 1.0f);
    for (std::size_t c = 0; c < columns; c += kN) {
      const V total = hn::MulAdd(by, hn::Load(d, a.row(r) + c), hn::Load(d, out.row(r) + c));
      hn::Store(total, d, out.row(r) + c);
    }
  }
}

void AffineForward(const float* scale, const float* shift, std::size_t rows, std::size_t columns,
                   ConstRows x, Rows y) {
  for (std::size_t r = 0; r < rows; ++r) {
    const V by = hn::Set(d, scale[r]);
    const V add = shift != nullptr ? hn::Set(d, shift[r]) : hn::Zero(d);
    for (std::size_t c = 0; c < columns; c += kN) {
      hn::Store(hn::MulAdd(by, hn::Load(d, x.row(r) + c), add), d, y.row(r) + c);
    }
  }
}

void RowSums(std::size_t rows, std::size_t columns, const float* mask, ConstRows a, ConstRows b,
             double* total, double* dot) {
  for (std::size_t r = 0; r < rows; ++r) {
    V of_left[kSums], of_products[kSums];
    clear(of_left);
    clear(of_products);
    for (std::size_t first = 0; first < columns; first += kSums * kN) {
      for (std::size_t s = 0; s < kSums; ++s) {
        const std::size_t c = first + s * kN;
        const V left = unmasked(mask, c, hn::Load(d, a.row(r) + c));
        const V right = unmasked(mask, c, hn::Load(d, b.row(r) + c));
        of_left[s] = hn::Add(of_left[s], left);
        of_products[s] = hn::MulAdd(left, right, of_products[s]);
      }
    }
    total[r] += sum(of_left);
    dot[r] += sum(of_products);
  }
}

void TableForward(const float* table, std::size_t entries, float low, float inverse_scale,
                  std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  const V inverse = hn::Set(d, inverse_scale), first = hn::Set(d, low);
  const auto count = static_cast<std::int32_t>(entries);
  const VI last = hn::Set(di, count - 1);
  const V top = hn::Set(d, static_cast<float>(count - 1));
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; c += kN) {
      const V v = hn::Load(d, x.row(r) + c);
      const V code = hn::Min(hn::Max(hn::MulSub(v, inverse, first), hn::Zero(d)), top);
      // Clamped again as integers, since the result of Min and Max for NaN depends on the
      // instruction set.
      const VI index = hn::Min(hn::Max(hn::NearestInt(code), hn::Zero(di)), last);
      const V value = hn::GatherIndex(d, table, index);
      hn::Store(hn::IfThenElse(hn::IsNaN(v), v, value), d, y.row(r) + c);
    }
  }
}

// Rounds to a grid. Uses comparisons rather than Min and Max, so that NaN remains NaN.
struct Grid {
  Grid(float scale, float lowest, float highest)
      : unit(hn::Set(d, scale)),
        inverse(hn::Set(d, 1 / scale)),
        low(hn::Set(d, lowest)),
        high(hn::Set(d, highest)) {}
  HWY_INLINE V round(V steps) const {
    const V whole = hn::Floor(hn::Add(steps, hn::Set(d, 0.5f)));
    const V raised = hn::IfThenElse(hn::Lt(whole, low), low, whole);
    return hn::IfThenElse(hn::Gt(raised, high), high, raised);
  }

  V unit, inverse, low, high;
};

void FakeQuantizeForward(const float* scale, float low, float high, std::size_t rows,
                         std::size_t columns, ConstRows x, Rows y) {
  for (std::size_t r = 0; r < rows; ++r) {
    const Grid grid(scale[r], low, high);
    for (std::size_t c = 0; c < columns; c += kN) {
      const V steps = hn::Mul(hn::Load(d, x.row(r) + c), grid.inverse);
      hn::Store(hn::Mul(grid.round(steps), grid.unit), d, y.row(r) + c);
    }
  }
}

void FakeQuantizeAdjoint(const float* scale, float low, float high, RangeGradient kind,
                         std::size_t rows, std::size_t columns, ConstRows x, ConstRows gy, Rows gx,
                         double* glog) {
  for (std::size_t r = 0; r < rows; ++r) {
    const Grid grid(scale[r], low, high);
    V total[kSums];
    clear(total);
    for (std::size_t first = 0; first < columns; first += kSums * kN) {
      for (std::size_t s = 0; s < kSums; ++s) {
        const std::size_t c = first + s * kN;
        const V steps = hn::Mul(hn::Load(d, x.row(r) + c), grid.inverse);
        const V g = hn::Load(d, gy.row(r) + c);
        const auto inside = hn::And(hn::Ge(steps, grid.low), hn::Le(steps, grid.high));
        hn::Store(hn::IfThenElseZero(inside, g), d, gx.row(r) + c);
        if (glog == nullptr) continue;
        const V code = grid.round(steps);
        const V slope = kind == RangeGradient::kSteps
                            ? hn::Sub(code, hn::IfThenElseZero(inside, steps))
                            : hn::IfThenZeroElse(inside, code);
        total[s] = hn::MulAdd(g, slope, total[s]);
      }
    }
    if (glog != nullptr) glog[r] += static_cast<double>(scale[r]) * sum(total);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(Multiply);
HWY_EXPORT(MultiplyAdd);
HWY_EXPORT(Accumulate);
HWY_EXPORT(AffineForward);
HWY_EXPORT(RowSums);
HWY_EXPORT(TableForward);
HWY_EXPORT(FakeQuantizeForward);
HWY_EXPORT(FakeQuantizeAdjoint);

void multiply(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, Rows out) {
  HWY_DYNAMIC_DISPATCH(Multiply)(rows, columns, a, b, out);
}

void multiply_add(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, ConstRows c,
                  Rows out) {
  HWY_DYNAMIC_DISPATCH(MultiplyAdd)(rows, columns, a, b, c, out);
}

void accumulate(const float* scale, std::size_t rows, std::size_t columns, ConstRows a, Rows out) {
  HWY_DYNAMIC_DISPATCH(Accumulate)(scale, rows, columns, a, out);
}

void affine_forward(const float* scale, const float* shift, std::size_t rows, std::size_t columns,
                    ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(AffineForward)(scale, shift, rows, columns, x, y);
}

void row_sums(std::size_t rows, std::size_t columns, const float* mask, ConstRows a, ConstRows b,
              double* sum, double* dot) {
  HWY_DYNAMIC_DISPATCH(RowSums)(rows, columns, mask, a, b, sum, dot);
}

void table_forward(const float* table, std::size_t entries, float low, float inverse_scale,
                   std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(TableForward)(table, entries, low, inverse_scale, rows, columns, x, y);
}

void fake_quantize_forward(const float* scale, float low, float high, std::size_t rows,
                           std::size_t columns, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(FakeQuantizeForward)(scale, low, high, rows, columns, x, y);
}

void fake_quantize_adjoint(const float* scale, float low, float high, RangeGradient kind,
                           std::size_t rows, std::size_t columns, ConstRows x, ConstRows gy,
                           Rows gx, double* glog) {
  HWY_DYNAMIC_DISPATCH(FakeQuantizeAdjoint)
  (scale, low, high, kind, rows, columns, x, gy, gx, glog);
}

}  // namespace crosstate::kernels
#endif
