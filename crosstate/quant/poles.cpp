#include "crosstate/quant/poles.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "crosstate/base/complex.h"

namespace crosstate::quant {
namespace {

using Complex = std::complex<double>;

constexpr double kSlowestDecay = 1e-4, kFastestDecay = 4;

double decay_of(Complex a) {
  return std::clamp(-std::log(std::max(magnitude(a), 1e-30)), kSlowestDecay, kFastestDecay);
}

// The nearest of `codes` values that are evenly spaced over [low, high].
double on_grid(double x, double low, double high, double codes) {
  if (high <= low) return low;
  const double step = (high - low) / (codes - 1);
  return low + std::clamp(std::nearbyint((x - low) / step), 0.0, codes - 1) * step;
}

// In multiples of 1 / `steps`, inside the unit circle.
Complex inside(Complex a, double steps) {
  double re = std::nearbyint(a.real() * steps), im = std::nearbyint(a.imag() * steps);
  // The larger part is reduced first, since it affects the modulus most.
  while (re * re + im * im >= steps * steps) {
    double& larger = std::abs(re) >= std::abs(im) ? re : im;
    larger -= std::copysign(1.0, larger);
  }
  return {re, im};
}

// The increment code closest to a pole, in steps of 2^-kPoleFraction.
Complex nearest_increment(Complex a, int bits) {
  const double low = -std::exp2(bits - 1), high = -low - 1, fixed = std::exp2(kPoleFraction);
  const Complex increment = a - 1.0;
  const auto fits = [&](double part) {
    return std::nearbyint(part) >= low && std::nearbyint(part) <= high;
  };
  // The shift that uses most of the bits.
  int finest = kPoleFraction;
  while (finest > 0 && !(fits(std::ldexp(increment.real(), finest)) &&
                         fits(std::ldexp(increment.imag(), finest)))) {
    --finest;
  }
  Complex best(0);
  double least = std::numeric_limits<double>::infinity();
  const auto consider = [&](double re, double im, int shift) {
    if (re < low || re > high || im < low || im > high) return;
    const double step = std::exp2(kPoleFraction - shift);
    const Complex places(fixed + re * step, im * step);
    if (!(std::norm(places) < fixed * fixed)) return;
    const double distance = std::norm(places - a * fixed);
    if (!(distance < least)) return;
    least = distance;
    best = places;
  };
  // Two steps lead back inside from any pole on the circle, except on the coarsest grids.
  constexpr int kReach = 2;
  const int first = std::max(0, finest - 1), last = std::min(kPoleFraction, finest + 1);
  for (int shift = first; shift <= last; ++shift) {
    const double re = std::nearbyint(std::ldexp(increment.real(), shift));
    const double im = std::nearbyint(std::ldexp(increment.imag(), shift));
    // Real poles stay real.
    const int reach = increment.imag() == 0 ? 0 : kReach;
    for (int i = -kReach; i <= kReach; ++i) {
      for (int j = -reach; j <= reach; ++j) {
        consider(std::clamp(re, low, high) + i, std::clamp(im, low, high) + j, shift);
      }
    }
    consider(-1, 0, shift);
  }
  return best;
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

QuantizedPoles quantize_poles(std::span<const Complex> channel, const PoleSite& site) {
  const double fixed = std::exp2(kPoleFraction);
  QuantizedPoles out;
  const auto part = [](double places) {
    return static_cast<std::int16_t>(std::isfinite(places) ? places : 0);
  };
  const auto put = [&](Complex places) {
    out.re.push_back(part(places.real()));
    out.im.push_back(part(places.imag()));
  };
  if (site.coding == PoleCoding::kCartesian) {
    const double steps = std::exp2(site.bits - 1);
    for (const Complex a : channel) {
      const Complex code = inside(a, steps);
      put(steps > fixed ? inside(code / steps, fixed) : code * (fixed / steps));
    }
    return out;
  }
  if (site.coding == PoleCoding::kIncrement) {
    for (const Complex a : channel) put(nearest_increment(a, site.bits));
    return out;
  }
  const PoleScales scales = out.scales = scales_of(channel);
  // The sine of pi is not exactly zero in floating point.
  const bool real =
      std::all_of(channel.begin(), channel.end(), [](Complex a) { return a.imag() == 0; });
  const double codes = pole_levels(site.bits);
  const double slow = std::log(scales.slowest), fast = std::log(scales.fastest);
  for (const Complex a : channel) {
    const double decay = site.coding == PoleCoding::kLogPolar
                             ? std::exp(on_grid(std::log(decay_of(a)), slow, fast, codes))
                             : on_grid(decay_of(a), scales.slowest, scales.fastest, codes);
    const double phase = on_grid(std::arg(a), scales.least_phase, scales.most_phase, codes);
    const Complex decoded = std::polar(std::exp(-decay), phase);
    put(inside(real ? Complex(decoded.real()) : decoded, fixed));
  }
  return out;
}

}  // namespace crosstate::quant
