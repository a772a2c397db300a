// The specification of crosstate/kernels/scan.h in plain scalar code, for float and double. Tests
// compare the vector kernels with it, so it is never optimised.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate::kernels::reference {

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
struct Complex {
  T re = 0, im = 0;
};

/// A mode's state; the residue is 0 unless the state is noise-shaped.
template <class T>
struct State {
  Complex<T> x, residue;
};

/// The offset that is added before rounding to the nearest integer, in one lane, `step` steps after
/// the first.
template <class T>
Complex<T> rounding_offset(const StateRounding& r, std::size_t n, std::size_t step,
                           std::size_t lane) {
  if (r.limit == 0) return {};
  if (r.mode != RoundingMode::kStochastic) return {T(kScanTie), T(kScanTie)};
  const auto mode = r.draws.first_mode + static_cast<std::uint32_t>(n);
  const StateDraw k = state_draw(state_key(r.draws.seeds[lane], mode),
                                 r.draws.first_step + static_cast<std::uint32_t>(step));
  const T place = T(2) * T(kScanTie);
  const Complex<T> spread = r.spread == nullptr
                                ? Complex<T>{T(1), T(1)}
                                : Complex<T>{T(r.spread[2 * n]), T(r.spread[2 * n + 1])};
  return {spread.re * ((T(k.re) + T(0.5)) * place - T(0.5)),
          spread.im * ((T(k.im) + T(0.5)) * place - T(0.5))};
}

/// Rounds a part of a state.
template <class T>
T round_state(const StateRounding& r, T sum) {
  if (r.limit == 0) return sum;
  const T limit = static_cast<T>(r.limit);
  return std::fmin(std::fmax(std::nearbyint(sum), -limit), limit);
}

/// A noise-shaped state (crosstate/kernels/residue.h). Sums are rounded as they are computed: near
/// `origin` the last place of T is 2^-fraction.
template <class T>
class NoiseShaping {
 public:
  NoiseShaping(const StateRounding& r, std::size_t n)
      : limit_(static_cast<T>(r.limit)),
        fraction_(HeldSums(r.limit).fraction),
        bits_(std::min<int>(r.residue_bits[n], fraction_)),
        origin_(std::ldexp(T(1.5), std::numeric_limits<T>::digits - 1 - fraction_)) {}

  /// origin + e + 1/2 + 2^-(r+1), to which A x and b u are added.
  T start(T residue) const {
    const T tie = bits_ > 0 && bits_ < fraction_ ? std::ldexp(T(1), -bits_ - 1) : T(0);
    return origin_ + (residue + (T(0.5) + tie));
  }
  /// The state for a sum that started at start(), and its residue.
  T round(T held, T& residue) const {
    const T sum = held - origin_, nearest = std::floor(sum);
    const T x = std::fmin(std::fmax(nearest, -limit_), limit_);
    residue = 0;
    if (x == nearest && bits_ > 0) {
      residue = std::ldexp(std::floor(std::ldexp(sum - nearest, bits_)), -bits_) - T(0.5);
    }
    return x;
  }

 private:
  T limit_;
  int fraction_, bits_;
  T origin_;
};

/// x_k = round(A x_{k-1} + b u_k) of one mode. The order of the multiply-adds is part of the
/// specification: a rounded state is an integer, and has to be the same one everywhere.
template <class T>
State<T> next_state(const Modes<T>& m, std::size_t n, const StateRounding& rounding, T u,
                    Complex<T> offset, const State<T>& s) {
  const T ai = m.ai != nullptr ? m.ai[n] : T(0);
  State<T> next;
  if (rounding.limit != 0 && rounding.mode == RoundingMode::kNoiseShaped) {
    const NoiseShaping<T> shaping(rounding, n);
    // b u is added last, since only it may leave the range where sums are exact.
    const T a = std::fma(-ai, s.x.im, std::fma(m.ar[n], s.x.re, shaping.start(s.residue.re)));
    const T re = m.b != nullptr ? std::fma(m.b[n], u, a) : a + u;
    const T im = std::fma(m.ar[n], s.x.im, std::fma(ai, s.x.re, shaping.start(s.residue.im)));
    next.x = {shaping.round(re, next.residue.re), shaping.round(im, next.residue.im)};
    return next;
  }
  const T in = m.b != nullptr ? std::fma(m.b[n], u, offset.re) : u + offset.re;
  const T re = std::fma(-ai, s.x.im, std::fma(m.ar[n], s.x.re, in));
  const T im = std::fma(m.ar[n], s.x.im, std::fma(ai, s.x.re, offset.im));
  next.x = {round_state(rounding, re), round_state(rounding, im)};
  return next;
}

/// One lane of a channel's state, as scan_state_size lays it out.
template <class T>
class LaneState {
 public:
  LaneState(const Modes<T>& m, const StateRounding& r, std::size_t n, std::size_t lane)
      : complex_(m.ai != nullptr),
        has_residue_(r.limit != 0 && r.mode == RoundingMode::kNoiseShaped),
        at_(n * 2 * kLanes + lane),
        residues_(at_ + m.modes * 2 * kLanes) {}

  State<T> load(const T* state) const {
    State<T> s;
    s.x = {state[at_], complex_ ? state[at_ + kLanes] : T(0)};
    if (has_residue_) s.residue = {state[residues_], complex_ ? state[residues_ + kLanes] : T(0)};
    return s;
  }
  void store(const State<T>& s, T* state) const {
    store(s.x, state + at_);
    if (has_residue_) store(s.residue, state + residues_);
  }

 private:
  void store(const Complex<T>& value, T* to) const {
    to[0] = value.re;
    if (complex_) to[kLanes] = value.im;
  }

  bool complex_, has_residue_;
  std::size_t at_, residues_;
};

/// u, y: [steps][16], y is added to. state: scan_state_size values, in and out.
template <class T>
void scan_forward(const Modes<T>& m, const StateRounding& rounding, std::size_t steps, const T* u,
                  T* y, T* state) {
  for (std::size_t n = 0; n < m.modes; ++n) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const LaneState<T> place(m, rounding, n, lane);
      State<T> s = place.load(state);
      for (std::size_t t = 0; t < steps; ++t) {
        s = next_state(m, n, rounding, u[t * kLanes + lane],
                       rounding_offset<T>(rounding, n, t, lane), s);
        T& out = y[t * kLanes + lane];
        out = std::fma(m.cr[n], s.x.re, out);
        if (m.ci != nullptr) out = std::fma(-m.ci[n], s.x.im, out);
      }
      place.store(s, state);
    }
  }
}

/// gy: [steps][16]. gu: [steps][16], added to. start: the state before the first step. carry:
/// [modes][2][16], the adjoint state from later steps, replaced by the one for earlier steps.
/// Gradients of real modes leave ai and ci alone, those of b = 1 leave b alone.
template <class T>
void scan_adjoint(const Modes<T>& m, const StateRounding& rounding, std::size_t steps, const T* u,
                  const T* start, const T* gy, T* gu, T* carry, const ScanGradients& gradients) {
  const T limit = static_cast<T>(rounding.limit);
  for (std::size_t n = 0; n < m.modes; ++n) {
    const T ai = m.ai != nullptr ? m.ai[n] : T(0);
    const T ci = m.ci != nullptr ? m.ci[n] : T(0);
    const T b = m.b != nullptr ? m.b[n] : T(1);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t re = (n * 2 + 0) * kLanes + lane, im = (n * 2 + 1) * kLanes + lane;
      std::vector<Complex<T>> x(steps + 1);  // x[t + 1] is the state after step t
      State<T> s = LaneState<T>(m, rounding, n, lane).load(start);
      x[0] = s.x;
      for (std::size_t t = 0; t < steps; ++t) {
        s = next_state(m, n, rounding, u[t * kLanes + lane],
                       rounding_offset<T>(rounding, n, t, lane), s);
        x[t + 1] = s.x;
      }
      Complex<T> p{carry[re], m.ai != nullptr ? carry[im] : T(0)};
      for (std::size_t t = steps; t-- > 0;) {
        const T g = gy[t * kLanes + lane];
        Complex<T> lambda{p.re + m.cr[n] * g, p.im - ci * g};
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

}  // namespace crosstate::kernels::reference
