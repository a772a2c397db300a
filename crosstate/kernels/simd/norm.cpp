// Layer norm. Each lane is a column, so mean and variance need no horizontal sums.
#include <algorithm>

#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kEpsilon = 1e-5f;

// Mean and 1 / sqrt(variance + epsilon) of 16 columns.
struct Moments {
  V mean[kV], inverse[kV];
};
HWY_INLINE Moments moments(std::size_t rows, ConstRows x, std::size_t column) {
  const V share = hn::Set(d, 1.0f / static_cast<float>(rows));
  Moments m;
  for (std::size_t v = 0; v < kV; ++v) m.mean[v] = m.inverse[v] = hn::Zero(d);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* in = x.row(r) + column;
    for (std::size_t v = 0; v < kV; ++v) m.mean[v] = hn::Add(m.mean[v], hn::Load(d, in + v * kN));
  }
  for (std::size_t v = 0; v < kV; ++v) m.mean[v] = hn::Mul(m.mean[v], share);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* in = x.row(r) + column;
    for (std::size_t v = 0; v < kV; ++v) {
      const V centred = hn::Sub(hn::Load(d, in + v * kN), m.mean[v]);
      m.inverse[v] = hn::MulAdd(centred, centred, m.inverse[v]);
    }
  }
  for (std::size_t v = 0; v < kV; ++v) {
    const V variance = hn::MulAdd(m.inverse[v], share, hn::Set(d, kEpsilon));
    m.inverse[v] = hn::Div(hn::Set(d, 1), hn::Sqrt(variance));
  }
  return m;
}

void LayerNormForward(const float* gamma, const float* beta, std::size_t rows, std::size_t columns,
                      ConstRows x, Rows y) {
  for (std::size_t c = 0; c < columns; c += kLanes) {
    const Moments m = moments(rows, x, c);
    for (std::size_t r = 0; r < rows; ++r) {
      const V scale = hn::Set(d, gamma[r]), shift = hn::Set(d, beta[r]);
      for (std::size_t v = 0; v < kV; ++v) {
        const V centred = hn::Sub(hn::Load(d, x.row(r) + c + v * kN), m.mean[v]);
        const V unit = hn::Mul(centred, m.inverse[v]);
        hn::Store(hn::MulAdd(unit, scale, shift), d, y.row(r) + c + v * kN);
      }
    }
  }
}

// Columns whose moments are kept on the stack, so that sums over columns run along whole rows.
constexpr std::size_t kTile = 256;

void LayerNormAdjoint(const float* gamma, std::size_t rows, std::size_t columns, ConstRows x,
                      ConstRows gy, Rows gx, double* ggamma, double* gbeta) {
  HWY_ALIGN float mean[kTile], inverse[kTile], mean_g[kTile], mean_gu[kTile];
  const V share = hn::Set(d, 1.0f / static_cast<float>(rows));
  for (std::size_t begin = 0; begin < columns; begin += kTile) {
    const std::size_t width = std::min(kTile, columns - begin);
    for (std::size_t c = 0; c < width; c += kLanes) {
      const Moments m = moments(rows, x, begin + c);
      V g_sum[kV], gu_sum[kV];
      for (std::size_t v = 0; v < kV; ++v) g_sum[v] = gu_sum[v] = hn::Zero(d);
      for (std::size_t r = 0; r < rows; ++r) {
        const V scale = hn::Set(d, gamma[r]);
        const std::size_t at = begin + c;
        for (std::size_t v = 0; v < kV; ++v) {
          const V centred = hn::Sub(hn::Load(d, x.row(r) + at + v * kN), m.mean[v]);
          const V g = hn::Mul(scale, hn::Load(d, gy.row(r) + at + v * kN));
          g_sum[v] = hn::Add(g_sum[v], g);
          gu_sum[v] = hn::MulAdd(g, hn::Mul(centred, m.inverse[v]), gu_sum[v]);
        }
      }
      for (std::size_t v = 0; v < kV; ++v) {
        hn::Store(m.mean[v], d, mean + c + v * kN);
        hn::Store(m.inverse[v], d, inverse + c + v * kN);
        hn::Store(hn::Mul(g_sum[v], share), d, mean_g + c + v * kN);
        hn::Store(hn::Mul(gu_sum[v], share), d, mean_gu + c + v * kN);
      }
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const V scale = hn::Set(d, gamma[r]);
      V gamma_sum[kSums], beta_sum[kSums];
      clear(gamma_sum);
      clear(beta_sum);
      for (std::size_t c = 0; c < width; c += kN) {
        const std::size_t s = c / kN % kSums;
        const V inv = hn::Load(d, inverse + c);
        const V unit =
            hn::Mul(hn::Sub(hn::Load(d, x.row(r) + begin + c), hn::Load(d, mean + c)), inv);
        const V g = hn::Load(d, gy.row(r) + begin + c);
        gamma_sum[s] = hn::MulAdd(g, unit, gamma_sum[s]);
        beta_sum[s] = hn::Add(g, beta_sum[s]);
        const V rest = hn::MulAdd(unit, hn::Load(d, mean_gu + c), hn::Load(d, mean_g + c));
        hn::Store(hn::Mul(inv, hn::MulSub(scale, g, rest)), d, gx.row(r) + begin + c);
      }
      ggamma[r] += sum(gamma_sum);
      gbeta[r] += sum(beta_sum);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(LayerNormForward);
HWY_EXPORT(LayerNormAdjoint);

void layer_norm_forward(const float* gamma, const float* beta, std::size_t rows,
                        std::size_t columns, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(LayerNormForward)(gamma, beta, rows, columns, x, y);
}

void layer_norm_adjoint(const float* gamma, std::size_t rows, std::size_t columns, ConstRows x,
                        ConstRows gy, Rows gx, double* ggamma, double* gbeta) {
  HWY_DYNAMIC_DISPATCH(LayerNormAdjoint)(gamma, rows, columns, x, gy, gx, ggamma, gbeta);
}

}  // namespace crosstate::kernels
#endif
