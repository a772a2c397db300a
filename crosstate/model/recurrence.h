// Coefficients of the recurrence from the trained parameters of S4D, and their gradients.
// Equations: S4D (arXiv 2206.11893), sections 3 and 4; A = -exp(log_a) + i w, dt = exp(log_dt).
#pragma once

#include <array>
#include <complex>
#include <vector>

#include "crosstate/base/named.h"

namespace crosstate::model {

enum class Discretization { kZeroOrderHold, kBilinear };
constexpr auto enum_names(Discretization) {
  return std::array{Named{"zoh", Discretization::kZeroOrderHold},
                    Named{"bilinear", Discretization::kBilinear}};
}
enum class PoleStart { kLin, kInv, kLegs, kReal };
constexpr auto enum_names(PoleStart) {
  return std::array{Named{"lin", PoleStart::kLin}, Named{"inv", PoleStart::kInv},
                    Named{"legs", PoleStart::kLegs}, Named{"real", PoleStart::kReal}};
}

/// Continuous parameters of one mode. Real modes have w = 0 and zero imaginary parts.
struct ContinuousMode {
  double log_dt = 0, log_a = 0, w = 0;
  std::complex<double> b = 1, c = 0;
};

/// x_k = a x_{k-1} + u_k, y_k = Re(c x_k): c includes the input gain and the factor 2 of a
/// conjugate pair.
struct DiscreteMode {
  std::complex<double> a, c;
};

DiscreteMode discretize(const ContinuousMode& mode, Discretization rule, bool complex_pair);

/// Gradients as dL/dRe + i dL/dIm for complex values.
struct ContinuousGradient {
  double log_dt = 0, log_a = 0, w = 0;
  std::complex<double> b = 0, c = 0;
};
ContinuousGradient discretize_adjoint(const ContinuousMode& mode, Discretization rule,
                                      bool complex_pair, std::complex<double> ga,
                                      std::complex<double> gc);

/// Continuous poles: real parts (negative) and frequencies of `modes` modes (arXiv 2206.11893,
/// section 4.3, where decay = 1/2; LegS: eigenvalues of the normal part of HiPPO).
std::vector<std::complex<double>> initial_poles(PoleStart start, std::size_t modes,
                                                double decay = 0.5);

/// Bound on |the recurrence in float32 - the convolution with K_l = Re(c a^l) in double|, relative
/// to (sum of |K_l|) times the largest input (checked by the tests).
inline constexpr double kConvolutionTolerance = 2e-5;

}  // namespace crosstate::model
