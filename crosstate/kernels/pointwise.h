// All operations between two scans, on panels of rows: one row per channel; columns are time steps
// of 16 sequences each. No kernel mixes columns, so a panel may be divided anywhere along time. In
// every adjoint, gX is the gradient of X; sums over columns are accumulated.
#pragma once

#include <array>
#include <cstddef>

#include "crosstate/base/named.h"

namespace crosstate::kernels {

/// A matrix in memory, row r at data + r * stride. Rows start at 64-byte boundaries; the number of
/// columns is a multiple of 16. Inputs and outputs may share memory only where stated.
struct Rows {
  float* data = nullptr;
  std::size_t stride = 0;
  float* row(std::size_t r) const { return data + r * stride; }
};
struct ConstRows {
  ConstRows(const float* d, std::size_t s) : data(d), stride(s) {}
  ConstRows(Rows rows)
      : data(rows.data), stride(rows.stride) {}  // NOLINT(google-explicit-constructor)
  const float* data = nullptr;
  std::size_t stride = 0;
  const float* row(std::size_t r) const { return data + r * stride; }
};

/// y = W x + bias. weight: [outputs][inputs]; bias: [outputs] or null. The adjoint of the input is
/// the same function with the transposed weight and gy for x.
void linear_forward(const float* weight, const float* bias, std::size_t outputs, std::size_t inputs,
                    std::size_t columns, ConstRows x, Rows y);
/// gw[outputs][inputs] += gy x^T; gb[outputs] += row sums of gy (null: not computed).
void linear_adjoint_weight(std::size_t outputs, std::size_t inputs, std::size_t columns,
                           ConstRows gy, ConstRows x, double* gw, double* gb);

/// GELU is exact: x Phi(x). The hard variants are piecewise linear: hard GELU is x clip((x + 1.5) /
/// 3, 0, 1), hard sigmoid is clip(x / 4 + 1 / 2, 0, 1).
enum class Activation { kIdentity, kRelu, kGelu, kHardGelu, kSigmoid, kHardSigmoid };
constexpr auto enum_names(Activation) {
  return std::array{Named{"gelu", Activation::kGelu}, Named{"hard-gelu", Activation::kHardGelu},
                    Named{"relu", Activation::kRelu}, Named{"identity", Activation::kIdentity}};
}
/// In place allowed.
void activation_forward(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y);
/// Also computes slope = f'(x), which costs little more and makes the adjoint a product.
void activation_with_slope(Activation f, std::size_t rows, std::size_t columns, ConstRows x, Rows y,
                           Rows slope);
/// Adjoint of a sigmoid or hard sigmoid from its value v = f(x): gx = gy v (1 - v), or gy / 4 where
/// 0 < v < 1. In place on gy allowed.
void gate_adjoint(Activation f, std::size_t rows, std::size_t columns, ConstRows value,
                  ConstRows gy, Rows gx);

/// out = a * b, out = a * b + c, and out[r] += scale[r] a[r] (scale null: 1). In place allowed.
void multiply(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, Rows out);
void multiply_add(std::size_t rows, std::size_t columns, ConstRows a, ConstRows b, ConstRows c,
                  Rows out);
void accumulate(const float* scale, std::size_t rows, std::size_t columns, ConstRows a, Rows out);

/// y[r] = scale[r] x[r] + shift[r] (shift null: 0). In place allowed.
void affine_forward(const float* scale, const float* shift, std::size_t rows, std::size_t columns,
                    ConstRows x, Rows y);
/// sum[r] += sum of a[r] and dot[r] += sum of a[r] b[r], over the columns with mask 1. mask:
/// [columns] of 0 and 1, or null for all columns.
void row_sums(std::size_t rows, std::size_t columns, const float* mask, ConstRows a, ConstRows b,
              double* sum, double* dot);

/// Layer norm over the rows of each column: y = gamma (x - mean) / sqrt(var + 1e-5) + beta.
void layer_norm_forward(const float* gamma, const float* beta, std::size_t rows,
                        std::size_t columns, ConstRows x, Rows y);
void layer_norm_adjoint(const float* gamma, std::size_t rows, std::size_t columns, ConstRows x,
                        ConstRows gy, Rows gx, double* ggamma, double* gbeta);

/// y[r] = clip(floor(x[r] (1 / scale[r]) + 1/2), low, high) scale[r]: ties upwards, in float32 with
/// every operation rounded. In place allowed.
void fake_quantize_forward(const float* scale, float low, float high, std::size_t rows,
                           std::size_t columns, ConstRows x, Rows y);
/// The gradient of a learned scale. kSteps, learned step size quantization (LSQ; Esser et al.,
/// arXiv 1902.08153): rounding errors and clipped values. kClipping, parameterized clipping (PACT;
/// Choi et al., arXiv 1805.06085): only clipped values.
enum class RangeGradient { kSteps, kClipping };
constexpr auto enum_names(RangeGradient) {
  return std::array{Named{"lsq", RangeGradient::kSteps}, Named{"pact", RangeGradient::kClipping}};
}

/// Straight-through estimator: gx = gy where x / scale is in [low, high], 0 elsewhere; in place on
/// gy allowed. glog[r] += dL/d(log scale) = scale sum gy e; null: not computed. With q the code, e
/// is q outside; inside it is q - x / scale for kSteps, 0 for kClipping.
void fake_quantize_adjoint(const float* scale, float low, float high, RangeGradient kind,
                           std::size_t rows, std::size_t columns, ConstRows x, ConstRows gy,
                           Rows gx, double* glog);

/// y = table[x / scale - low] for values x of codes low .. low + entries - 1; codes outside the
/// table use its nearest entry, NaN remains NaN. In place allowed.
void table_forward(const float* table, std::size_t entries, float low, float inverse_scale,
                   std::size_t rows, std::size_t columns, ConstRows x, Rows y);

/// Bounds on |fast - reference|: relative to the largest magnitude of the result for linear maps,
/// norms and sums; absolute in units of max(1, |x|) for activations (checked by the tests).
inline constexpr double kLinearTolerance = 2e-6;
inline constexpr double kActivationTolerance = 1e-6;
inline constexpr double kNormTolerance = 2e-5;

}  // namespace crosstate::kernels
