// Vector version of the recurrence. Lanes are sequences, so coefficients are broadcast and lanes
// are independent; a few modes at a time share each load of u and y.
#include "crosstate/kernels/scan.h"

#include <algorithm>
#include <type_traits>

#include "crosstate/kernels/simd/targets.h"
#include "crosstate/kernels/state_draws.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/scan.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"
#include "crosstate/kernels/simd/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Modes per pass: states and coefficients of two modes fill AVX2's 16 registers, of four AVX-512's.
constexpr std::size_t kModesPerPass = kV == 1 ? 4 : 2;
// Modes whose adjoints run in one loop: those of two modes fill AVX-512's registers.
constexpr std::size_t kModesPerAdjoint = kV == 1 ? 2 : 1;

struct Mode {
  V ar, ai, b, cr, ci;
};

template <bool kComplex, bool kGain>
HWY_INLINE Mode load_mode(const ScanModes& m, std::size_t n) {
  const V zero = hn::Zero(d);
  return {hn::Set(d, m.ar[n]), kComplex ? hn::Set(d, m.ai[n]) : zero,
          kGain ? hn::Set(d, m.b[n]) : zero, hn::Set(d, m.cr[n]),
          kComplex ? hn::Set(d, m.ci[n]) : zero};
}

// Some modes of a channel in all lanes; residues only where they are kept (as sums begin, see
// residue.h), keys only with draws.
template <std::size_t kModes>
struct Modes {
  Mode m[kModes];
  V xr[kModes][kV], xi[kModes][kV];
  V er[kModes][kV], ei[kModes][kV];
  Residue residue[kModes];
  VU key[kModes][kV];
  Spread re[kModes], im[kModes];  // of the draws for both parts
};

template <std::size_t kModes, bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE Modes<kModes> load(const ScanModes& modes, std::size_t n, const StateRounding& rounding,
                              const float* state) {
  const DrawAddress& draws = rounding.draws;
  Modes<kModes> s;
  for (std::size_t j = 0; j < kModes; ++j) {
    s.m[j] = load_mode<kComplex, kGain>(modes, n + j);
    if constexpr (kRounding == Rounding::kNoiseShaped) {
      s.residue[j] = Residue(HeldResidue(HeldSums(rounding.limit), rounding.residue_bits[n + j]));
    }
    if constexpr (kRounding == Rounding::kStochastic) {
      if (rounding.spread != nullptr) {
        s.re[j] = Spread(rounding.spread[2 * (n + j)]);
        s.im[j] = Spread(rounding.spread[2 * (n + j) + 1]);
      }
    }
    for (std::size_t v = 0; v < kV; ++v) {
      const float* x = state + (n + j) * 2 * kLanes + v * kN;
      s.xr[j][v] = hn::Load(d, x);
      s.xi[j][v] = hn::Load(d, x + kLanes);
      if constexpr (kRounding == Rounding::kNoiseShaped) {
        const V rest = hn::BitCast(d, s.residue[j].rest);
        s.er[j][v] = hn::Add(rest, hn::Load(d, x + modes.modes * 2 * kLanes));
        s.ei[j][v] = hn::Add(rest, hn::Load(d, x + modes.modes * 2 * kLanes + kLanes));
      }
      if constexpr (kRounding == Rounding::kStochastic) {
        const auto number = draws.first_mode + static_cast<std::uint32_t>(n + j);
        const VU seeds = hn::LoadU(du, draws.seeds + v * kN);
        s.key[j][v] = mix_lanes(hn::Xor(seeds, hn::Set(du, mix(number))));
      }
    }
  }
  return s;
}

template <std::size_t kModes, Rounding kRounding>
HWY_INLINE void store(const Modes<kModes>& s, std::size_t modes, std::size_t n, float* state) {
  for (std::size_t j = 0; j < kModes; ++j) {
    for (std::size_t v = 0; v < kV; ++v) {
      float* x = state + (n + j) * 2 * kLanes + v * kN;
      hn::Store(s.xr[j][v], d, x);
      hn::Store(s.xi[j][v], d, x + kLanes);
      if constexpr (kRounding == Rounding::kNoiseShaped) {
        const V rest = hn::BitCast(d, s.residue[j].rest);
        hn::Store(hn::Sub(s.er[j][v], rest), d, x + modes * 2 * kLanes);
        hn::Store(hn::Sub(s.ei[j][v], rest), d, x + modes * 2 * kLanes + kLanes);
      }
    }
  }
}

// Rounding of the states of a channel.
struct Rounder {
  explicit Rounder(float limit) : saturation(limit), shaping(HeldSums(limit > 0 ? limit : 1)) {}
  Saturation saturation;
  HeldShaping shaping;
};

// One step of one mode: (xr, xi) <- round(A x + b u). `step` is mixed already.
template <bool kComplex, bool kGain, Rounding kRounding, Form kForm, std::size_t kModes>
HWY_INLINE void advance(Modes<kModes>& s, std::size_t j, std::size_t v, V u, std::uint32_t step,
                        const Rounder& rounder) {
  constexpr bool kRound = kRounding != Rounding::kNone;
  const Mode& m = s.m[j];
  V& xr = s.xr[j][v];
  V& xi = s.xi[j][v];
  if constexpr (kRounding == Rounding::kNoiseShaped) {
    // b u is added last, since only it may leave the range where sums are exact.
    V re = hn::MulAdd(m.ar, xr, s.er[j][v]);
    if constexpr (kComplex) re = hn::NegMulAdd(m.ai, xi, re);
    re = kGain ? hn::MulAdd(m.b, u, re) : hn::Add(u, re);
    if constexpr (kComplex) {
      const V im = hn::MulAdd(m.ar, xi, hn::MulAdd(m.ai, xr, s.ei[j][v]));
      xi = rounder.shaping.round(im, s.residue[j], s.ei[j][v]);
    }
    xr = rounder.shaping.round(re, s.residue[j], s.er[j][v]);
    return;
  }
  const Saturation& saturation = rounder.saturation;
  Offsets offset{saturation.tie, saturation.tie};
  if constexpr (kRounding == Rounding::kStochastic) {
    offset = draw_offsets(s.re[j], s.im[j], s.key[j][v], step);
  }
  V in = u;
  if constexpr (kGain) in = kRound ? hn::MulAdd(m.b, u, offset.re) : hn::Mul(m.b, u);
  if constexpr (kRound && !kGain) in = hn::Add(u, offset.re);
  if constexpr (kComplex) {
    // In the order of the rows of an array (real part, imaginary part last), so that both round
    // equally.
    const V nr = hn::NegMulAdd(m.ai, xi, hn::MulAdd(m.ar, xr, in));
    const V cross = kRound ? hn::MulAdd(m.ai, xr, offset.im) : hn::Mul(m.ai, xr);
    const V ni = hn::MulAdd(m.ar, xi, cross);
    xr = saturation.round<kRounding, kForm>(nr);
    xi = saturation.round<kRounding, kForm>(ni);
  } else {
    const V nr = hn::MulAdd(m.ar, xr, in);
    xr = saturation.round<kRounding, kForm>(nr);
  }
}

// The index of a step in the form used by draws; 0 without draws.
template <Rounding kRounding>
HWY_INLINE std::uint32_t mixed_step(const DrawAddress& draws, std::size_t t) {
  if constexpr (kRounding != Rounding::kStochastic) return 0;
  return mix(draws.first_step + static_cast<std::uint32_t>(t));
}

template <std::size_t kModes, bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE void forward_pass(const ScanModes& modes, std::size_t n, const StateRounding& rounding,
                             const Rounder& rounder, std::size_t steps, const float* HWY_RESTRICT u,
                             float* HWY_RESTRICT y, float* HWY_RESTRICT state) {
  auto s = load<kModes, kComplex, kGain, kRounding>(modes, n, rounding, state);
  for (std::size_t t = 0; t < steps; ++t) {
    const std::uint32_t step = mixed_step<kRounding>(rounding.draws, t);
    for (std::size_t v = 0; v < kV; ++v) {
      const V in = hn::Load(d, u + t * kLanes + v * kN);
      V out = hn::Load(d, y + t * kLanes + v * kN);
      for (std::size_t j = 0; j < kModes; ++j) {
        advance<kComplex, kGain, kRounding, Form::kDirect>(s, j, v, in, step, rounder);
        out = hn::MulAdd(s.m[j].cr, s.xr[j][v], out);
        if constexpr (kComplex) out = hn::NegMulAdd(s.m[j].ci, s.xi[j][v], out);
      }
      hn::Store(out, d, y + t * kLanes + v * kN);
    }
  }
  store<kModes, kRounding>(s, modes.modes, n, state);
}

template <bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE void forward(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                        const float* u, float* y, float* state) {
  const Rounder rounder(rounding.limit);
  std::size_t n = 0;
  for (; n + kModesPerPass <= modes.modes; n += kModesPerPass) {
    forward_pass<kModesPerPass, kComplex, kGain, kRounding>(modes, n, rounding, rounder, steps, u,
                                                            y, state);
  }
  for (; n < modes.modes; ++n) {
    forward_pass<1, kComplex, kGain, kRounding>(modes, n, rounding, rounder, steps, u, y, state);
  }
}

// The states after each step of some modes, [mode][steps][2][16]. start: of the channel. peaks: the
// largest magnitude of each rounded mode in each lane.
template <std::size_t kModes, bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE void recompute(const ScanModes& modes, std::size_t n, const StateRounding& rounding,
                          const Rounder& rounder, std::size_t steps, const float* HWY_RESTRICT u,
                          const float* start, float* HWY_RESTRICT states, V (&peaks)[kModes]) {
  constexpr bool kRound = kRounding != Rounding::kNone;
  auto s = load<kModes, kComplex, kGain, kRounding>(modes, n, rounding, start);
  for (V& peak : peaks) peak = hn::Zero(d);
  for (std::size_t t = 0; t < steps; ++t) {
    const std::uint32_t step = mixed_step<kRounding>(rounding.draws, t);
    for (std::size_t v = 0; v < kV; ++v) {
      const V in = hn::Load(d, u + t * kLanes + v * kN);
      for (std::size_t j = 0; j < kModes; ++j) {
        advance<kComplex, kGain, kRounding, Form::kBiased>(s, j, v, in, step, rounder);
        float* to = states + (j * steps + t) * 2 * kLanes + v * kN;
        hn::Store(s.xr[j][v], d, to);
        if constexpr (kComplex) hn::Store(s.xi[j][v], d, to + kLanes);
        if constexpr (kRound) peaks[j] = greatest_magnitude(peaks[j], s.xr[j][v]);
        if constexpr (kRound && kComplex) peaks[j] = greatest_magnitude(peaks[j], s.xi[j][v]);
      }
    }
  }
}

// A mode in the adjoint: coefficients, the adjoint states of its lanes, and the sums of its
// gradients, which the vectors of a step share.
struct AdjointMode {
  Mode m;
  V gain, inverse;
  V pr[kV], pi[kV];
  V ar[kSums], ai[kSums], b[kSums], cr[kSums], ci[kSums];
};

template <bool kComplex, bool kGain>
HWY_INLINE AdjointMode load_adjoint(const ScanModes& modes, std::size_t n, const float* carry) {
  AdjointMode a;
  a.m = load_mode<kComplex, kGain>(modes, n);
  // With a gain, the adjoint state is stored times b: then gu needs no product with b.
  a.gain = kGain ? a.m.b : hn::Set(d, 1.0f);
  a.inverse = hn::Div(hn::Set(d, 1.0f), a.gain);
  if constexpr (kGain) {
    a.m.cr = hn::Mul(a.m.cr, a.gain);
    a.m.ci = hn::Mul(a.m.ci, a.gain);
  }
  clear(a.ar);
  clear(a.ai);
  clear(a.b);
  clear(a.cr);
  clear(a.ci);
  for (std::size_t v = 0; v < kV; ++v) {
    a.pr[v] = hn::Mul(a.gain, hn::Load(d, carry + v * kN));
    a.pi[v] = hn::Mul(a.gain, hn::Load(d, carry + kLanes + v * kN));
  }
  return a;
}

template <bool kComplex, bool kGainGradient>
HWY_INLINE void store_adjoint(const AdjointMode& a, std::size_t n, float* carry,
                              const ScanGradients& gradients) {
  for (std::size_t v = 0; v < kV; ++v) {
    hn::Store(hn::Mul(a.inverse, a.pr[v]), d, carry + v * kN);
    hn::Store(hn::Mul(a.inverse, a.pi[v]), d, carry + kLanes + v * kN);
  }
  gradients.ar[n] += scaled_sum(a.inverse, a.ar);
  gradients.cr[n] += sum(a.cr);
  if constexpr (kComplex) {
    gradients.ai[n] += scaled_sum(a.inverse, a.ai);
    gradients.ci[n] += sum(a.ci);
  }
  if constexpr (kGainGradient) gradients.b[n] += scaled_sum(a.inverse, a.b);
}

// The adjoint of kModes modes from n on, whose states are in `states` as recompute() leaves them.
// The next adjoint state of a mode waits for three multiply-adds of this step; another mode, or
// another vector of lanes, fills that time. start, carry: of mode n. kSaturates: some states may
// have saturated; there the gradient does not pass.
template <std::size_t kModes, bool kComplex, bool kGain, bool kGainGradient, bool kSaturates>
HWY_INLINE void adjoint_modes(const ScanModes& modes, std::size_t n, const Saturation& saturation,
                              std::size_t steps, const float* HWY_RESTRICT u, const float* start,
                              const float* HWY_RESTRICT gy, float* HWY_RESTRICT gu,
                              float* HWY_RESTRICT carry, const ScanGradients& gradients,
                              const float* HWY_RESTRICT states) {
  AdjointMode all[kModes];
  for (std::size_t j = 0; j < kModes; ++j) {
    all[j] = load_adjoint<kComplex, kGain>(modes, n + j, carry + j * 2 * kLanes);
  }
  for (std::size_t t = steps; t-- > 0;) {
    for (std::size_t v = 0; v < kV; ++v) {
      const std::size_t at = t * kLanes + v * kN, s = v % kSums;
      const V g = hn::Load(d, gy + at);
      V to_u = hn::Load(d, gu + at);
      for (std::size_t j = 0; j < kModes; ++j) {
        AdjointMode& a = all[j];
        const float* now = states + (j * steps + t) * 2 * kLanes;
        const float* before = t > 0 ? now - 2 * kLanes : start + j * 2 * kLanes;
        const V xr = hn::Load(d, now + v * kN);
        V lr = hn::MulAdd(a.m.cr, g, a.pr[v]);
        a.cr[s] = hn::MulAdd(g, xr, a.cr[s]);
        if constexpr (kSaturates) lr = saturation.pass(xr, lr);
        to_u = hn::Add(lr, to_u);
        if constexpr (kGainGradient) a.b[s] = hn::MulAdd(lr, hn::Load(d, u + at), a.b[s]);
        const V br = hn::Load(d, before + v * kN);
        if constexpr (!kComplex) {
          a.ar[s] = hn::MulAdd(lr, br, a.ar[s]);
          a.pr[v] = hn::Mul(a.m.ar, lr);
        } else {
          const V xi = hn::Load(d, now + kLanes + v * kN);
          V li = hn::NegMulAdd(a.m.ci, g, a.pi[v]);
          a.ci[s] = hn::NegMulAdd(g, xi, a.ci[s]);
          if constexpr (kSaturates) li = saturation.pass(xi, li);
          const V bi = hn::Load(d, before + kLanes + v * kN);
          // Both products of a part of A are added first, so that the chain of the sum has one
          // addition, on execution units that multiply-adds leave free.
          a.ar[s] = hn::Add(a.ar[s], hn::MulAdd(lr, br, hn::Mul(li, bi)));
          a.ai[s] = hn::Add(a.ai[s], hn::NegMulAdd(lr, bi, hn::Mul(li, br)));
          a.pr[v] = hn::MulAdd(a.m.ar, lr, hn::Mul(a.m.ai, li));
          a.pi[v] = hn::MulSub(a.m.ar, li, hn::Mul(a.m.ai, lr));
        }
      }
      hn::Store(to_u, d, gu + at);
    }
  }
  for (std::size_t j = 0; j < kModes; ++j) {
    store_adjoint<kComplex, kGainGradient>(all[j], n + j, carry + j * 2 * kLanes, gradients);
  }
}

template <std::size_t kModes, bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE void adjoint_pass(const ScanModes& modes, std::size_t n, const StateRounding& rounding,
                             const Rounder& rounder, std::size_t steps, const float* u,
                             const float* start, const float* gy, float* gu, float* carry,
                             const ScanGradients& gradients, float* scratch) {
  using std::bool_constant;
  constexpr bool kRound = kRounding != Rounding::kNone;
  constexpr std::size_t kTogether = std::min(kModes, kModesPerAdjoint);
  static_assert(kModes % kTogether == 0 && kTogether <= 2);
  V peaks[kModes];
  recompute<kModes, kComplex, kGain, kRounding>(modes, n, rounding, rounder, steps, u, start,
                                                scratch, peaks);
  for (std::size_t j = 0; j < kModes; j += kTogether) {
    const std::size_t mode = (n + j) * 2 * kLanes;
    const float* states = scratch + j * steps * 2 * kLanes;
    const auto run = [&](auto gain_gradient, auto saturates) {
      adjoint_modes<kTogether, kComplex, kGain, gain_gradient.value, saturates.value>(
          modes, n + j, rounder.saturation, steps, u, start + mode, gy, gu, carry + mode, gradients,
          states);
    };
    // Few modes saturate within a block; the others need no test at every step.
    const auto run_as_needed = [&](auto gain_gradient) {
      if (kRound &&
          rounder.saturation.reached(greatest_magnitude(peaks[j], peaks[j + kTogether - 1]))) {
        run(gain_gradient, bool_constant<kRound>());
      } else {
        run(gain_gradient, bool_constant<false>());
      }
    };
    if (kGain && gradients.b != nullptr) {
      run_as_needed(bool_constant<kGain>());
    } else {
      run_as_needed(bool_constant<false>());
    }
  }
}

template <bool kComplex, bool kGain, Rounding kRounding>
HWY_INLINE void adjoint(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                        const float* u, const float* start, const float* gy, float* gu,
                        float* carry, const ScanGradients& gradients, float* scratch) {
  const Rounder rounder(rounding.limit);
  std::size_t n = 0;
  for (; n + kModesPerPass <= modes.modes; n += kModesPerPass) {
    adjoint_pass<kModesPerPass, kComplex, kGain, kRounding>(
        modes, n, rounding, rounder, steps, u, start, gy, gu, carry, gradients, scratch);
  }
  for (; n < modes.modes; ++n) {
    adjoint_pass<1, kComplex, kGain, kRounding>(modes, n, rounding, rounder, steps, u, start, gy,
                                                gu, carry, gradients, scratch);
  }
}

template <Rounding kRounding>
using RoundingConstant = std::integral_constant<Rounding, kRounding>;

// Converts the three run-time properties of a scan to template arguments.
template <class Body>
HWY_INLINE void with_properties(const ScanModes& m, const StateRounding& rounding, Body body) {
  using std::bool_constant;
  const auto round = [&](auto complex, auto gain) {
    if (rounding.limit == 0) {
      body(complex, gain, RoundingConstant<Rounding::kNone>());
    } else if (rounding.mode == RoundingMode::kNearest) {
      body(complex, gain, RoundingConstant<Rounding::kNearest>());
    } else if (rounding.mode == RoundingMode::kStochastic) {
      body(complex, gain, RoundingConstant<Rounding::kStochastic>());
    } else {
      body(complex, gain, RoundingConstant<Rounding::kNoiseShaped>());
    }
  };
  const auto gain = [&](auto complex) {
    if (m.b != nullptr) {
      round(complex, bool_constant<true>());
    } else {
      round(complex, bool_constant<false>());
    }
  };
  if (m.ai != nullptr) {
    gain(bool_constant<true>());
  } else {
    gain(bool_constant<false>());
  }
}

void ScanForward(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                 const float* u, float* y, float* state) {
  with_properties(modes, rounding, [&](auto complex, auto gain, auto round) {
    forward<complex.value, gain.value, round.value>(modes, rounding, steps, u, y, state);
  });
}

void ScanAdjoint(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                 const float* u, const float* start, const float* gy, float* gu, float* carry,
                 const ScanGradients& gradients, float* scratch) {
  with_properties(modes, rounding, [&](auto complex, auto gain, auto round) {
    adjoint<complex.value, gain.value, round.value>(modes, rounding, steps, u, start, gy, gu, carry,
                                                    gradients, scratch);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(ScanForward);
HWY_EXPORT(ScanAdjoint);

std::size_t scan_state_size(std::size_t modes, RoundingMode mode) {
  return modes * (mode == RoundingMode::kNoiseShaped ? 4 : 2) * kLanes;
}

void scan_forward(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                  const float* u, float* y, float* state) {
  HWY_DYNAMIC_DISPATCH(ScanForward)(modes, rounding, steps, u, y, state);
}

void scan_adjoint(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                  const float* u, const float* start, const float* gy, float* gu, float* carry,
                  const ScanGradients& gradients, float* scratch) {
  HWY_DYNAMIC_DISPATCH(ScanAdjoint)
  (modes, rounding, steps, u, start, gy, gu, carry, gradients, scratch);
}

}  // namespace crosstate::kernels
#endif
