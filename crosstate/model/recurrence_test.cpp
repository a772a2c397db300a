#include "crosstate/model/recurrence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "crosstate/base/error.h"
#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/model/reference.h"

namespace crosstate::model {
namespace {

using Complex = std::complex<double>;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr auto kHold = Discretization::kZeroOrderHold;
constexpr auto kBilinear = Discretization::kBilinear;

ContinuousMode random_mode(Random& random, bool complex_pair) {
  ContinuousMode m;
  m.log_dt = random.uniform(std::log(1e-3), std::log(0.3));
  m.log_a = random.uniform(-2, 1);
  m.b = random.normal();
  m.c = random.normal();
  if (complex_pair) {
    m.w = random.uniform(-8, 8);
    m.b += Complex(0, random.normal());
    m.c += Complex(0, random.normal());
  }
  return m;
}

void expect_near(Complex got, Complex wanted, double tolerance) {
  EXPECT_NEAR(got.real(), wanted.real(), tolerance);
  EXPECT_NEAR(got.imag(), wanted.imag(), tolerance);
}

TEST(Discretize, EqualsTheClosedForms) {
  // A = -2, dt = 1/2: exp(-1), and (1 - 1/2) / (1 + 1/2).
  ContinuousMode m{std::log(0.5), std::log(2.0), 0, 3, 5};
  DiscreteMode d = discretize(m, kHold, false);
  expect_near(d.a, std::exp(-1.0), 1e-15);
  expect_near(d.c, 15 * (1 - std::exp(-1.0)) / 2, 1e-14);
  d = discretize(m, kBilinear, false);
  expect_near(d.a, 1.0 / 3, 1e-15);
  expect_near(d.c, 15 * 0.5 / 1.5, 1e-14);

  // A = -1 + i pi, dt = 1: a quarter turn at dt = 1/2; the pair counts twice.
  m = {0, 0, std::numbers::pi, 1, {0, 1}};
  d = discretize(m, kHold, true);
  expect_near(d.a, -std::exp(-1.0), 1e-15);
  expect_near(d.c, 2.0 * Complex(0, 1) * (-std::exp(-1.0) - 1.0) / Complex(-1, std::numbers::pi),
              1e-14);
  d = discretize(m, kBilinear, true);
  const Complex z = Complex(-0.5, std::numbers::pi / 2);
  expect_near(d.a, (1.0 + z) / (1.0 - z), 1e-15);
  expect_near(d.c, 2.0 * Complex(0, 1) / (1.0 - z), 1e-14);
}

TEST(Discretize, IsContractiveAndTendsToDtForSmallSteps) {
  Random random(1, Stream::kTest);
  for (int i = 0; i < 1000; ++i) {
    ContinuousMode m = random_mode(random, true);
    EXPECT_LT(std::abs(discretize(m, kHold, true).a), 1);
    EXPECT_LT(std::abs(discretize(m, kBilinear, true).a), 1);
    m.log_dt = std::log(1e-6);
    for (const auto rule : {kHold, kBilinear}) {
      const Complex c = discretize(m, rule, true).c / (2.0 * m.b * m.c * 1e-6);
      expect_near(c, 1, 1e-5);
    }
  }
}

TEST(DiscretizeAdjoint, EqualsCentralDifferencesInEveryArgument) {
  Random random(2, Stream::kTest);
  for (const auto rule : {kHold, kBilinear}) {
    for (const bool complex_pair : {true, false}) {
      for (int i = 0; i < 200; ++i) {
        ContinuousMode m = random_mode(random, complex_pair);
        const Complex ga(random.normal(), complex_pair ? random.normal() : 0);
        const Complex gc(random.normal(), complex_pair ? random.normal() : 0);
        const auto loss = [&] {
          const DiscreteMode d = discretize(m, rule, complex_pair);
          return (std::conj(ga) * d.a + std::conj(gc) * d.c).real();
        };
        const auto slope = [&](const std::function<void(double)>& move) {
          constexpr double kStep = 1e-5;
          const ContinuousMode kept = m;
          move(kStep);
          const double above = loss();
          m = kept;
          move(-kStep);
          const double below = loss();
          m = kept;
          return (above - below) / (2 * kStep);
        };
        const ContinuousGradient g = discretize_adjoint(m, rule, complex_pair, ga, gc);
        const auto check = [&](double got, const std::function<void(double)>& move,
                               const char* what) {
          const double wanted = slope(move);
          EXPECT_NEAR(got, wanted, 1e-6 * (1 + std::abs(wanted)))
              << what << (rule == kHold ? " zoh" : " bilinear")
              << (complex_pair ? " complex" : " real");
        };
        check(
            g.log_dt, [&](double e) { m.log_dt += e; }, "log_dt");
        check(
            g.log_a, [&](double e) { m.log_a += e; }, "log_a");
        check(
            g.b.real(), [&](double e) { m.b += e; }, "Re B");
        check(
            g.c.real(), [&](double e) { m.c += e; }, "Re C");
        if (!complex_pair) continue;
        check(
            g.w, [&](double e) { m.w += e; }, "w");
        check(
            g.b.imag(), [&](double e) { m.b += Complex(0, e); }, "Im B");
        check(
            g.c.imag(), [&](double e) { m.c += Complex(0, e); }, "Im C");
      }
    }
  }
}

TEST(InitialPoles, FollowTheirFormulas) {
  const auto lin = initial_poles(PoleStart::kLin, 4), inv = initial_poles(PoleStart::kInv, 4),
             real = initial_poles(PoleStart::kReal, 4);
  for (std::size_t k = 0; k < 4; ++k) {
    const auto n = static_cast<double>(k);
    EXPECT_EQ(lin[k], Complex(-0.5, std::numbers::pi * n));
    expect_near(inv[k], {-0.5, 8 / std::numbers::pi * (8 / (2 * n + 1) - 1)}, 1e-13);
    EXPECT_EQ(real[k], Complex(-n - 1, 0));
  }
}

TEST(InitialPoles, LegsAreTheEigenvaluesOfTheNormalPart) {
  // N = 2: S = [[0, p], [-p, 0]] with p = sqrt(3) / 2.
  const auto two = initial_poles(PoleStart::kLegs, 1);
  ASSERT_EQ(two.size(), 1u);
  expect_near(two[0], {-0.5, std::sqrt(3.0) / 2}, 1e-12);

  // N = 4: x^4 + p x^2 + q with x = i w, p = sum of s_ij^2 = 86 / 4, q = pfaffian^2 = 105 / 16.
  const auto four = initial_poles(PoleStart::kLegs, 2);
  ASSERT_EQ(four.size(), 2u);
  const double p = 21.5, q = 105.0 / 16, root = std::sqrt(p * p - 4 * q);
  expect_near(four[0], {-0.5, std::sqrt((p - root) / 2)}, 1e-12);
  expect_near(four[1], {-0.5, std::sqrt((p + root) / 2)}, 1e-12);

  // For all N: the frequencies ascend, the sum of their squares is that of s_ij^2 over i < j, and
  // the product of their squares is the determinant of S, that of the weights i + 1/2.
  for (const std::size_t modes : {3u, 8u, 32u, 300u}) {
    const auto poles = initial_poles(PoleStart::kLegs, modes);
    double wanted = 0, got = 0, logarithm = 0;
    for (std::size_t j = 0; j < 2 * modes; ++j) {
      logarithm += std::log(static_cast<double>(j) + 0.5);
      for (std::size_t i = 0; i < j; ++i) {
        wanted += (2.0 * static_cast<double>(i) + 1) * (2.0 * static_cast<double>(j) + 1) / 4;
      }
    }
    for (std::size_t k = 0; k < modes; ++k) {
      got += poles[k].imag() * poles[k].imag();
      logarithm -= 2 * std::log(poles[k].imag());
      EXPECT_EQ(poles[k].real(), -0.5);
      if (k == 0) continue;
      EXPECT_GT(poles[k].imag(), poles[k - 1].imag());
    }
    EXPECT_NEAR(got, wanted, 1e-9 * wanted);
    EXPECT_NEAR(logarithm, 0, 1e-9);
  }
}

// A channel of discretised random modes, in double and in the form of the kernels.
struct Channel {
  std::vector<reference::Mode<double>> modes;
  AlignedFloats ar, ai, cr, ci;
  bool complex_pair;

  Channel(Random& random, std::size_t count, bool pair) : complex_pair(pair) {
    for (std::size_t n = 0; n < count; ++n) {
      const ContinuousMode m = random_mode(random, pair);
      const DiscreteMode d = discretize(m, random.below(2) == 0 ? kHold : kBilinear, pair);
      // Rounded as for the kernels, so that the bound applies to the algorithms and not to the
      // coefficients.
      ar.push_back(static_cast<float>(d.a.real()));
      ai.push_back(static_cast<float>(d.a.imag()));
      cr.push_back(static_cast<float>(d.c.real()));
      ci.push_back(static_cast<float>(d.c.imag()));
      modes.push_back({{ar[n], ai[n]}, {cr[n], ci[n]}, 1});
    }
  }
  kernels::ScanModes scan() const {
    return {modes.size(), ar.data(), complex_pair ? ai.data() : nullptr,
            nullptr,      cr.data(), complex_pair ? ci.data() : nullptr};
  }
};

double largest_output(const std::vector<double>& kernel, const std::vector<double>& u) {
  double sum = 0, peak = 0;
  for (const double k : kernel) sum += std::abs(k);
  for (const double x : u) peak = std::max(peak, std::abs(x));
  return sum * peak;
}

TEST(Recurrence, EqualsTheConvolution) {
  Random random(3, Stream::kTest);
  for (int i = 0; i < 60; ++i) {
    const Channel channel(random, 1 + random.below(9), i % 3 != 0);
    const std::size_t length = 1 + random.below(300);
    std::vector<double> u(length);
    for (double& x : u) x = static_cast<float>(random.normal());
    const std::vector<double> wanted = reference::convolution(channel.modes, u);
    const double scale = largest_output(reference::convolution_kernel(channel.modes, length), u);

    const std::vector<double> scalar = reference::recurrence(channel.modes, u);
    AlignedFloats in(length * kLanes), out(length * kLanes, 0),
        state(kernels::scan_state_size(channel.modes.size()), 0);
    for (std::size_t t = 0; t < length * kLanes; ++t) in[t] = static_cast<float>(u[t / kLanes]);
    kernels::scan_forward(channel.scan(), {}, length, in.data(), out.data(), state.data());
    for (std::size_t t = 0; t < length; ++t) {
      ASSERT_NEAR(scalar[t], wanted[t], 1e-12 * scale) << "step " << t;
      ASSERT_NEAR(out[t * kLanes + t % kLanes], wanted[t], kConvolutionTolerance * scale)
          << "step " << t;
    }
  }
}

TEST(Recurrence, MayBeCutAnywhereWhenTheStateIsCarried) {
  Random random(4, Stream::kTest);
  const Channel channel(random, 5, true);
  constexpr std::size_t kLength = 97;
  std::vector<double> u(kLength);
  for (double& x : u) x = static_cast<float>(random.normal());
  const std::vector<double> whole = reference::recurrence(channel.modes, u);
  AlignedFloats in(kLength * kLanes), once(kLength * kLanes, 0),
      state(kernels::scan_state_size(5), 0);
  for (std::size_t t = 0; t < kLength * kLanes; ++t) in[t] = static_cast<float>(u[t / kLanes]);
  kernels::scan_forward(channel.scan(), {}, kLength, in.data(), once.data(), state.data());

  for (int i = 0; i < 20; ++i) {
    const std::size_t cut = 1 + random.below(kLength - 1);
    std::vector<Complex> carried(5, 0);
    const auto at = u.begin() + static_cast<std::ptrdiff_t>(cut);
    std::vector<double> parts = reference::recurrence(channel.modes, {u.begin(), at}, &carried);
    const auto rest = reference::recurrence(channel.modes, {at, u.end()}, &carried);
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, whole) << "cut at " << cut;

    AlignedFloats twice(kLength * kLanes, 0), second(kernels::scan_state_size(5), 0);
    kernels::scan_forward(channel.scan(), {}, cut, in.data(), twice.data(), second.data());
    kernels::scan_forward(channel.scan(), {}, kLength - cut, in.data() + cut * kLanes,
                          twice.data() + cut * kLanes, second.data());
    EXPECT_EQ(twice, once) << "cut at " << cut;
    EXPECT_EQ(second, state) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace crosstate::model
