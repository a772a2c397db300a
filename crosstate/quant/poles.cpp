#include "crosstate/quant/poles.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crosstate {
namespace {

using Complex = std::complex<double>;

constexpr double kSlowestDecay = 1e-4, kFastestDecay = 4;

double decay_of(Complex a) {
  return std::clamp(-std::log(std::max(std::abs(a), 1e-30)), kSlowestDecay, kFastestDecay);
}

// The nearest of `codes` numbers spread evenly over [low, high].
double on_grid(double x, double low, double high, double codes) {
  if (high <= low) return low;
  const double step = (high - low) / (codes - 1);
  return low + std::clamp(std::nearbyint((x - low) / step), 0.0, codes - 1) * step;
}

// On the grid 1 / `steps`, inside the unit circle.
Complex inside(Complex a, double steps) {
  double re = std::nearbyint(a.real() * steps), im = std::nearbyint(a.imag() * steps);
  // The larger part moves first: it changes the modulus most.
  while (re * re + im * im >= steps * steps) {
    double& larger = std::abs(re) >= std::abs(im) ? re : im;
    larger -= std::copysign(1.0, larger);
  }
  return {re / steps, im / steps};
}

PoleScales scales_of(std::span<const Complex> channel) {
  PoleScales scales{kFastestDecay, kSlowestDecay, std::numbers::pi, -std::numbers::pi};
  for (const Complex a : channel) {
    scales.slowest = std::min(scales.slowest, decay_of(a));
    scales.fastest = std::max(scales.fastest, decay_of(a));
    scales.least_phase = std::min(scales.least_phase, std::arg(a));
    scales.most_phase = std::max(scales.most_phase, std::arg(a));
  }
  return scales;
}

}  // namespace

int pole_levels(int bits) { return bits == 2 ? 3 : 1 << bits; }

PoleScales round_poles(std::span<Complex> channel, const PoleSite& site) {
  const double fixed = std::exp2(kPoleFraction);
  if (site.coding == "cartesian") {
    for (Complex& a : channel) {
      a = inside(a, std::exp2(site.bits - 1));
      if (site.bits - 1 > kPoleFraction) a = inside(a, fixed);
    }
    return {};
  }
  const PoleScales scales = scales_of(channel);
  // The sine of pi is not quite zero in floating point.
  const bool real =
      std::all_of(channel.begin(), channel.end(), [](Complex a) { return a.imag() == 0; });
  const double codes = pole_levels(site.bits);
  const double slow = std::log(scales.slowest), fast = std::log(scales.fastest);
  for (Complex& a : channel) {
    const double decay = site.coding == "log-polar"
                             ? std::exp(on_grid(std::log(decay_of(a)), slow, fast, codes))
                             : on_grid(decay_of(a), scales.slowest, scales.fastest, codes);
    const double phase = on_grid(std::arg(a), scales.least_phase, scales.most_phase, codes);
    a = std::polar(std::exp(-decay), phase);
    a = inside(real ? Complex(a.real()) : a, fixed);
  }
  return scales;
}

}  // namespace crosstate
