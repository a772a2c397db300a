#include "crosstate/ptq/kernel_rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/quant/poles.h"

namespace crosstate::ptq {
namespace {

using Complex = std::complex<double>;

std::vector<model::DiscreteMode> random_modes(std::uint64_t seed, std::size_t count, bool complex) {
  Random random(seed, Stream::kTest);
  std::vector<model::DiscreteMode> modes;
  for (std::size_t i = 0; i < count; ++i) {
    const double decay = std::exp(random.uniform(-5, -1));
    const double phase = complex ? random.uniform(-2, 2) : 0;
    modes.push_back({std::polar(std::exp(-decay), phase),
                     Complex(random.normal(), complex ? random.normal() : 0)});
  }
  return modes;
}

// One impulse per lane.
AlignedFloats impulses(std::size_t steps) {
  AlignedFloats u(steps * kLanes, 0);
  for (std::size_t k = 0; k < kLanes; ++k) u[k] = 1;
  return u;
}

std::vector<Complex> poles_of(const std::vector<model::DiscreteMode>& modes) {
  std::vector<Complex> poles;
  for (const model::DiscreteMode& m : modes) poles.push_back(m.a);
  return poles;
}

std::vector<Complex> rounded(const std::vector<Complex>& poles, const quant::PoleSite& site) {
  const quant::QuantizedPoles fixed = quant::quantize_poles(poles, site);
  std::vector<Complex> values;
  for (std::size_t i = 0; i < poles.size(); ++i) {
    values.emplace_back(quant::pole_value(fixed.re[i]), quant::pole_value(fixed.im[i]));
  }
  return values;
}

TEST(KernelFit, OfTheOwnPolesLeavesNothing) {
  const AlignedFloats u = impulses(200);
  const auto modes = random_modes(1, 4, true);
  const KernelFit fit(modes, true, u, 16);
  std::vector<Complex> others = poles_of(modes);
  const double own = fit.error(others);
  others[0] *= 0.9;
  EXPECT_LT(own, 1e-3 * fit.error(others));
  EXPECT_GT(fit.error({}), fit.error(others));  // of no poles: all of the response
}

TEST(ChoosePoles, LowersTheErrorOfTheImpulseResponse) {
  const AlignedFloats u = impulses(300);
  using quant::PoleCoding;
  for (const PoleCoding coding : {PoleCoding::kCartesian, PoleCoding::kLogPolar, PoleCoding::kPolar,
                                  PoleCoding::kIncrement}) {
    for (const bool complex : {true, false}) {
      double found = 0, nearest = 0;
      for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const auto modes = random_modes(seed, 4, complex);
        const quant::PoleSite site{6, coding};
        const KernelFit fit(modes, complex, u, 8);
        const double before = fit.error(rounded(poles_of(modes), site));
        const std::vector<Complex> chosen = choose_poles(modes, complex, u, site, 8);
        for (const Complex a : chosen) EXPECT_LT(std::abs(a), 1);
        const double after = fit.error(rounded(chosen, site));
        EXPECT_LE(after, before);
        found += after;
        nearest += before;
      }
      EXPECT_LT(found, 0.9 * nearest) << name_of(coding) << ' ' << complex;
    }
  }
}

TEST(ChoosePoles, KeepsRealPolesOnTheirSideOfZero) {
  const AlignedFloats u = impulses(100);
  using quant::PoleCoding;
  for (const PoleCoding coding : {PoleCoding::kCartesian, PoleCoding::kLogPolar, PoleCoding::kPolar,
                                  PoleCoding::kIncrement}) {
    for (const double a : {1e-4, 2e-3, 0.01, 0.02, 0.04}) {
      // C of the second mode makes up for the first one where that is moved below 0.
      const std::vector<model::DiscreteMode> modes = {{a, 1}, {0.12, -0.6}, {0.5 + a, 0.3}};
      for (const int bits : {4, 6}) {
        for (const Complex pole : choose_poles(modes, false, u, {bits, coding}, 8)) {
          EXPECT_GT(pole.real(), 0) << name_of(coding) << ' ' << a;
          EXPECT_EQ(pole.imag(), 0);
        }
      }
    }
  }
}

TEST(ChoosePoles, LeavesPolesAloneThatFit) {
  const AlignedFloats u = impulses(100);
  const std::vector<model::DiscreteMode> modes = {{{0.5, 0.25}, {1, 2}}, {{0.75, -0.25}, {-1, 1}}};
  EXPECT_EQ(choose_poles(modes, true, u, {8, quant::PoleCoding::kCartesian}, 8), poles_of(modes));
}

}  // namespace
}  // namespace crosstate::ptq
