#include "crosstate/model/recurrence.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using Complex = std::complex<double>;

// The rule's Ab, its input gain Bb / B, and their derivatives by A and dt.
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

// Eigenvalue frequencies of a real antisymmetric S: those of the Hermitian i S, by cyclic Jacobi
// rotations on its real symmetric form (each frequency appears twice there).
std::vector<double> antisymmetric_frequencies(const std::vector<double>& s, std::size_t n) {
  // S^T S is symmetric with eigenvalues w^2, each twice for a pair +-i w.
  std::vector<double> m(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < n; ++k) m[i * n + j] += s[k * n + i] * s[k * n + j];
    }
  }
  for (int sweep = 0; sweep < 100; ++sweep) {
    double off = 0, diagonal = 0;
    for (std::size_t i = 0; i < n; ++i) {
      diagonal += m[i * n + i] * m[i * n + i];
      for (std::size_t j = 0; j < i; ++j) off += m[i * n + j] * m[i * n + j];
    }
    if (off <= 1e-26 * diagonal) break;
    for (std::size_t p = 0; p + 1 < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (m[p * n + q] == 0) continue;
        const double theta = (m[q * n + q] - m[p * n + p]) / (2 * m[p * n + q]);
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), sn = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double kp = m[k * n + p], kq = m[k * n + q];
          m[k * n + p] = c * kp - sn * kq;
          m[k * n + q] = sn * kp + c * kq;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double pk = m[p * n + k], qk = m[q * n + k];
          m[p * n + k] = c * pk - sn * qk;
          m[q * n + k] = sn * pk + c * qk;
        }
      }
    }
  }
  std::vector<double> squares(n);
  for (std::size_t i = 0; i < n; ++i) squares[i] = std::max(0.0, m[i * n + i]);
  std::sort(squares.begin(), squares.end());
  std::vector<double> frequencies;
  for (std::size_t i = 0; i + 1 < n; i += 2) {
    frequencies.push_back(std::sqrt(0.5 * (squares[i] + squares[i + 1])));
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

std::vector<Complex> initial_poles(const std::string& name, std::size_t modes, double decay) {
  std::vector<Complex> poles(modes);
  const double states = 2.0 * static_cast<double>(modes);
  std::vector<double> legs;
  if (name == "legs") {
    // The normal part of HiPPO-LegS is -1/2 I + S with S_ij = -+sqrt((2i+1)(2j+1)) / 2.
    const std::size_t n = 2 * modes;
    std::vector<double> s(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const double p = 0.5 * std::sqrt((2.0 * static_cast<double>(i) + 1) *
                                         (2.0 * static_cast<double>(j) + 1));
        s[i * n + j] = i == j ? 0 : i > j ? -p : p;
      }
    }
    legs = antisymmetric_frequencies(s, n);
  }
  for (std::size_t k = 0; k < modes; ++k) {
    const double n = static_cast<double>(k);
    if (name == "lin") {
      poles[k] = {-decay, std::numbers::pi * n};
    } else if (name == "inv") {
      poles[k] = {-decay, states / std::numbers::pi * (states / (2 * n + 1) - 1)};
    } else if (name == "legs") {
      poles[k] = {-decay, legs[k]};
    } else if (name == "real") {
      poles[k] = {-(n + 1), 0};
    } else {
      fail("model.init", "'" + name + "', expected lin, inv, legs or real");
    }
  }
  return poles;
}

}  // namespace crosstate
