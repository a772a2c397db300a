// The specification of crosstate/kernels/scan.h in plain scalar code, for float and double. Tests
// compare the vector kernels with it, so it is never optimised.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::reference {

/// ScanModes in the type T.
template <class T>
struct Modes {
  std::size_t modes = 0;
  const T* ar = nullptr;
  const T* ai = nullptr;  // null: real modes
  const T* b = nullptr;   // null: 1
  const T* cr = nullptr;
  const T* ci = nullptr;  // null: real modes
};

/// One complex number in T.
template <class T>
struct State {
  T re = 0, im = 0;
};

/// Nearest whole number within +-limit; limit 0 rounds nothing. x holds kScanTie already.
template <class T>
T round_state(T x, T limit) {
  if (limit == 0) return x;
  return std::fmin(std::fmax(std::nearbyint(x), -limit), limit);
}

/// x_k = round(A x_{k-1} + b u_k) of one mode. The order of the multiply-adds is part of the
/// specification: a rounded state is a whole number, and has to be the same one everywhere.
template <class T>
State<T> next_state(const Modes<T>& m, std::size_t n, T limit, T u, State<T> x) {
  const T tie = limit == 0 ? T(0) : T(kScanTie);
  const T in = m.b != nullptr ? std::fma(m.b[n], u, tie) : u + tie;
  const T ai = m.ai != nullptr ? m.ai[n] : T(0);
  const T re = std::fma(-ai, x.im, std::fma(m.ar[n], x.re, in));
  const T im = std::fma(m.ar[n], x.im, std::fma(ai, x.re, tie));
  return {round_state(re, limit), round_state(im, limit)};
}

/// u, y: [steps][16], y is added to. state: [modes][2][16], in and out.
template <class T>
void scan_forward(const Modes<T>& m, T limit, std::size_t steps, const T* u, T* y, T* state) {
  for (std::size_t n = 0; n < m.modes; ++n) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      T& re = state[(n * 2 + 0) * kLanes + lane];
      T& im = state[(n * 2 + 1) * kLanes + lane];
      State<T> x{re, m.ai != nullptr ? im : T(0)};
      for (std::size_t t = 0; t < steps; ++t) {
        x = next_state(m, n, limit, u[t * kLanes + lane], x);
        T& out = y[t * kLanes + lane];
        out = std::fma(m.cr[n], x.re, out);
        if (m.ci != nullptr) out = std::fma(-m.ci[n], x.im, out);
      }
      re = x.re;
      if (m.ai != nullptr) im = x.im;
    }
  }
}

/// gy: [steps][16]. gu: [steps][16], added to. start: the state before the first step. carry:
/// [modes][2][16], the adjoint state from later steps, replaced by the one for earlier steps.
/// Gradients of real modes leave ai and ci alone, those of b = 1 leave b alone.
template <class T>
void scan_adjoint(const Modes<T>& m, T limit, std::size_t steps, const T* u, const T* start,
                  const T* gy, T* gu, T* carry, const ScanGradients& gradients) {
  for (std::size_t n = 0; n < m.modes; ++n) {
    const T ai = m.ai != nullptr ? m.ai[n] : T(0);
    const T ci = m.ci != nullptr ? m.ci[n] : T(0);
    const T b = m.b != nullptr ? m.b[n] : T(1);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t re = (n * 2 + 0) * kLanes + lane, im = (n * 2 + 1) * kLanes + lane;
      std::vector<State<T>> x(steps + 1);  // x[t + 1] is the state after step t
      x[0] = {start[re], m.ai != nullptr ? start[im] : T(0)};
      for (std::size_t t = 0; t < steps; ++t) {
        x[t + 1] = next_state(m, n, limit, u[t * kLanes + lane], x[t]);
      }
      State<T> p{carry[re], m.ai != nullptr ? carry[im] : T(0)};
      for (std::size_t t = steps; t-- > 0;) {
        const T g = gy[t * kLanes + lane];
        State<T> lambda{p.re + m.cr[n] * g, p.im - ci * g};
        if (limit != 0 && std::fabs(x[t + 1].re) >= limit) lambda.re = 0;
        if (limit != 0 && std::fabs(x[t + 1].im) >= limit) lambda.im = 0;
        gu[t * kLanes + lane] += b * lambda.re;
        gradients.cr[n] += static_cast<double>(g * x[t + 1].re);
        gradients.ar[n] += static_cast<double>(lambda.re * x[t].re + lambda.im * x[t].im);
        if (m.b != nullptr && gradients.b != nullptr) {
          gradients.b[n] += static_cast<double>(lambda.re * u[t * kLanes + lane]);
        }
        if (m.ai != nullptr) {
          gradients.ci[n] -= static_cast<double>(g * x[t + 1].im);
          gradients.ai[n] += static_cast<double>(lambda.im * x[t].re - lambda.re * x[t].im);
        }
        p = {m.ar[n] * lambda.re + ai * lambda.im, m.ar[n] * lambda.im - ai * lambda.re};
      }
      carry[re] = p.re;
      if (m.ai != nullptr) carry[im] = p.im;
    }
  }
}

}  // namespace crosstate::reference
