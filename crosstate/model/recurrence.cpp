#include "crosstate/model/recurrence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "crosstate/base/error.h"

namespace crosstate::model {
namespace {

using Complex = std::complex<double>;

// Ab of the rule, its input gain Bb / B, and their derivatives with respect to A and dt.
struct Rule {
  Complex ab, gain, ab_by_a, ab_by_dt, gain_by_a, gain_by_dt;
};

Rule apply(Complex a, double dt, Discretization rule) {
  Rule r;
  if (rule == Discretization::kZeroOrderHold) {
    r.ab = std::exp(dt * a);
    r.gain = (r.ab - 1.0) / a;
    r.ab_by_a = dt * r.ab;
    r.ab_by_dt = a * r.ab;
    r.gain_by_a = (r.ab_by_a - r.gain) / a;
    r.gain_by_dt = r.ab;
    return r;
  }
  const Complex inverse = 1.0 / (1.0 - 0.5 * dt * a);
  r.ab = (1.0 + 0.5 * dt * a) * inverse;
  r.gain = dt * inverse;
  r.ab_by_a = dt * inverse * inverse;
  r.ab_by_dt = a * inverse * inverse;
  r.gain_by_a = 0.5 * dt * dt * inverse * inverse;
  r.gain_by_dt = inverse * inverse;
  return r;
}

Complex pole(const ContinuousMode& mode) { return {-std::exp(mode.log_a), mode.w}; }

// Frequencies of HiPPO-LegS. Its normal part is -1/2 I + S with S_ij = -+v_i v_j, v_i^2 = i + 1/2,
// whose eigenvalues are pairs +-i w. i S - x I is congruent to i sign(j - i) - x diag(v^-2), which
// becomes tridiagonal by taking differences of adjacent rows and columns. The signs of the pivots
// then give the number of eigenvalues below x (Sylvester's law of inertia), as needed for
// bisection.
std::size_t legs_frequencies_below(double x, std::size_t n) {
  const auto weight = [](std::size_t i) { return 2 / (2 * static_cast<double>(i) + 1); };
  double pivot = -x * weight(0);
  std::size_t below = pivot < 0 ? 1 : 0;
  for (std::size_t i = 1; i < n; ++i) {
    const double before = x * weight(i - 1);
    const double safe = pivot == 0 ? -std::numeric_limits<double>::min() : pivot;
    pivot = -x * weight(i) - before - (1 + before * before) / safe;
    below += pivot < 0 ? 1 : 0;
  }
  return below - n / 2;  // without the negative ones
}

// For 2 count states, in ascending order.
std::vector<double> legs_frequencies(std::size_t count) {
  const std::size_t n = 2 * count;
  std::vector<double> frequencies;
  for (std::size_t k = 0; k < count; ++k) {
    double low = k == 0 ? 0 : frequencies.back();
    double high =
        static_cast<double>(n) * static_cast<double>(n);  // an upper bound of the row sums
    while (high - low > 4e-16 * high) {
      const double middle = low + (high - low) / 2;
      if (middle == low || middle == high) break;
      (legs_frequencies_below(middle, n) <= k ? low : high) = middle;
    }
    frequencies.push_back(low + (high - low) / 2);
  }
  return frequencies;
}

}  // namespace

DiscreteMode discretize(const ContinuousMode& mode, Discretization rule, bool complex_pair) {
  const Rule r = apply(pole(mode), std::exp(mode.log_dt), rule);
  return {r.ab, (complex_pair ? 2.0 : 1.0) * mode.c * mode.b * r.gain};
}

ContinuousGradient discretize_adjoint(const ContinuousMode& mode, Discretization rule,
                                      bool complex_pair, Complex ga, Complex gc) {
  const double dt = std::exp(mode.log_dt);
  const Rule r = apply(pole(mode), dt, rule);
  gc *= complex_pair ? 2.0 : 1.0;
  const Complex ggain = gc * std::conj(mode.c * mode.b);
  const Complex gpole = ga * std::conj(r.ab_by_a) + ggain * std::conj(r.gain_by_a);
  ContinuousGradient g;
  g.c = gc * std::conj(mode.b * r.gain);
  g.b = gc * std::conj(mode.c * r.gain);
  g.log_dt = dt * (ga * std::conj(r.ab_by_dt) + ggain * std::conj(r.gain_by_dt)).real();
  g.log_a = -std::exp(mode.log_a) * gpole.real();
  g.w = gpole.imag();
  return g;
}

std::vector<Complex> initial_poles(PoleStart start, std::size_t modes, double decay) {
  std::vector<Complex> poles(modes);
  const double states = 2.0 * static_cast<double>(modes);
  const std::vector<double> legs =
      start == PoleStart::kLegs ? legs_frequencies(modes) : std::vector<double>();
  for (std::size_t k = 0; k < modes; ++k) {
    const double n = static_cast<double>(k);
    switch (start) {
      case PoleStart::kLin:
        poles[k] = {-decay, std::numbers::pi * n};
        break;
      case PoleStart::kInv:
        poles[k] = {-decay, states / std::numbers::pi * (states / (2 * n + 1) - 1)};
        break;
      case PoleStart::kLegs:
        poles[k] = {-decay, legs[k]};
        break;
      case PoleStart::kReal:
        poles[k] = {-(n + 1), 0};
        break;
    }
  }
  return poles;
}

}  // namespace crosstate::model
