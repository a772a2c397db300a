// Dense layers on panels. Columns are the vector dimension, so weights are broadcast and no packing
// is needed; blocks of rows by columns stay in registers during the whole sum.
#include <algorithm>

#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/linear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Twelve sums, two loads and a broadcast fill AVX2's 16 registers.
constexpr std::size_t kRows = 6;
constexpr std::size_t kVectors = 2;

template <std::size_t kR, std::size_t kC>
HWY_INLINE void forward_block(const float* HWY_RESTRICT weight, const float* bias,
                              std::size_t inputs, const float* HWY_RESTRICT x, std::size_t x_stride,
                              float* HWY_RESTRICT y, std::size_t y_stride) {
  V acc[kR][kC];
  for (std::size_t r = 0; r < kR; ++r) {
    const V start = bias != nullptr ? hn::Set(d, bias[r]) : hn::Zero(d);
    for (std::size_t c = 0; c < kC; ++c) acc[r][c] = start;
  }
  for (std::size_t k = 0; k < inputs; ++k) {
    V in[kC];
    for (std::size_t c = 0; c < kC; ++c) in[c] = hn::Load(d, x + k * x_stride + c * kN);
    for (std::size_t r = 0; r < kR; ++r) {
      const V w = hn::Set(d, weight[r * inputs + k]);
      for (std::size_t c = 0; c < kC; ++c) acc[r][c] = hn::MulAdd(w, in[c], acc[r][c]);
    }
  }
  for (std::size_t r = 0; r < kR; ++r) {
    for (std::size_t c = 0; c < kC; ++c) hn::Store(acc[r][c], d, y + r * y_stride + c * kN);
  }
}

// All rows of kC vectors of columns, in blocks of nearly equal height.
template <std::size_t kC>
HWY_INLINE void forward_columns(const float* weight, const float* bias, std::size_t outputs,
                                std::size_t inputs, ConstRows x, Rows y, std::size_t column) {
  const std::size_t blocks = (outputs + kRows - 1) / kRows;
  std::size_t row = 0;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t height = outputs / blocks + (i < outputs % blocks ? 1 : 0);
    const float* w = weight + row * inputs;
    const float* b = bias != nullptr ? bias + row : nullptr;
    const float* in = x.data + column;
    float* out = y.row(row) + column;
    switch (height) {
      case 6:
        forward_block<6, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
      case 5:
        forward_block<5, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
      case 4:
        forward_block<4, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
      case 3:
        forward_block<3, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
      case 2:
        forward_block<2, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
      default:
        forward_block<1, kC>(w, b, inputs, in, x.stride, out, y.stride);
        break;
    }
    row += height;
  }
}

void LinearForward(const float* weight, const float* bias, std::size_t outputs, std::size_t inputs,
                   std::size_t columns, ConstRows x, Rows y) {
  std::size_t c = 0;
  for (; c + kVectors * kN <= columns; c += kVectors * kN) {
    forward_columns<kVectors>(weight, bias, outputs, inputs, x, y, c);
  }
  for (; c < columns; c += kN) forward_columns<1>(weight, bias, outputs, inputs, x, y, c);
}

// kR x kC inner products of rows.
template <std::size_t kR, std::size_t kC>
HWY_INLINE void adjoint_block(std::size_t inputs, std::size_t columns, const float* HWY_RESTRICT gy,
                              std::size_t gy_stride, const float* HWY_RESTRICT x,
                              std::size_t x_stride, double* HWY_RESTRICT gw) {
  V acc[kR][kC][kSums];
  for (std::size_t r = 0; r < kR; ++r) {
    for (std::size_t c = 0; c < kC; ++c) clear(acc[r][c]);
  }
  for (std::size_t first = 0; first < columns; first += kSums * kN) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const std::size_t t = first + s * kN;
      V g[kR];
      for (std::size_t r = 0; r < kR; ++r) g[r] = hn::Load(d, gy + r * gy_stride + t);
      for (std::size_t c = 0; c < kC; ++c) {
        const V in = hn::Load(d, x + c * x_stride + t);
        for (std::size_t r = 0; r < kR; ++r) acc[r][c][s] = hn::MulAdd(g[r], in, acc[r][c][s]);
      }
    }
  }
  for (std::size_t r = 0; r < kR; ++r) {
    for (std::size_t c = 0; c < kC; ++c) gw[r * inputs + c] += sum(acc[r][c]);
  }
}

template <std::size_t kR>
HWY_INLINE void adjoint_rows(std::size_t inputs, std::size_t columns, const float* gy,
                             std::size_t gy_stride, ConstRows x, double* gw) {
  std::size_t i = 0;
  for (; i + 4 <= inputs; i += 4) {
    adjoint_block<kR, 4>(inputs, columns, gy, gy_stride, x.row(i), x.stride, gw + i);
  }
  switch (inputs - i) {
    case 3:
      adjoint_block<kR, 3>(inputs, columns, gy, gy_stride, x.row(i), x.stride, gw + i);
      break;
    case 2:
      adjoint_block<kR, 2>(inputs, columns, gy, gy_stride, x.row(i), x.stride, gw + i);
      break;
    case 1:
      adjoint_block<kR, 1>(inputs, columns, gy, gy_stride, x.row(i), x.stride, gw + i);
      break;
    default:
      break;
  }
}

// The sum of a row: independent chains, at most four; each takes kSums vectors of 16 columns.
HWY_INLINE double row_sum(std::size_t columns, const float* a) {
  constexpr std::size_t kChains = std::min<std::size_t>(4, kLanes / kN / kSums);
  V acc[kChains][kSums];
  for (std::size_t c = 0; c < kChains; ++c) clear(acc[c]);
  for (std::size_t t = 0; t < columns; t += kChains * kSums * kN) {
    for (std::size_t c = 0; c < kChains; ++c) {
      for (std::size_t s = 0; s < kSums; ++s) {
        acc[c][s] = hn::Add(acc[c][s], hn::Load(d, a + t + (c * kSums + s) * kN));
      }
    }
  }
  double total = 0;
  for (std::size_t c = 0; c < kChains; ++c) total += sum(acc[c]);
  return total;
}

void LinearAdjointWeight(std::size_t outputs, std::size_t inputs, std::size_t columns, ConstRows gy,
                         ConstRows x, double* gw, double* gb) {
  std::size_t r = 0;
  for (; r + 3 <= outputs; r += 3) {
    adjoint_rows<3>(inputs, columns, gy.row(r), gy.stride, x, gw + r * inputs);
  }
  if (outputs - r == 2) adjoint_rows<2>(inputs, columns, gy.row(r), gy.stride, x, gw + r * inputs);
  if (outputs - r == 1) adjoint_rows<1>(inputs, columns, gy.row(r), gy.stride, x, gw + r * inputs);
  if (gb == nullptr) return;
  for (std::size_t o = 0; o < outputs; ++o) gb[o] += row_sum(columns, gy.row(o));
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(LinearForward);
HWY_EXPORT(LinearAdjointWeight);

void linear_forward(const float* weight, const float* bias, std::size_t outputs, std::size_t inputs,
                    std::size_t columns, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(LinearForward)(weight, bias, outputs, inputs, columns, x, y);
}

void linear_adjoint_weight(std::size_t outputs, std::size_t inputs, std::size_t columns,
                           ConstRows gy, ConstRows x, double* gw, double* gb) {
  HWY_DYNAMIC_DISPATCH(LinearAdjointWeight)(outputs, inputs, columns, gy, x, gw, gb);
}

}  // namespace crosstate::kernels
#endif
