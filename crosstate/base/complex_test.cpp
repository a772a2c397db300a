#include "crosstate/base/complex.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "crosstate/base/hash.h"
#include "crosstate/base/random.h"

namespace crosstate {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double ulp(double x) { return std::nextafter(x, kInfinity) - x; }

TEST(Complex, MagnitudesAreAccurateToOneUnitInTheLastPlace) {
  Random random(1, Stream::kTest);
  for (int i = 0; i < 10000; ++i) {
    const int binary = static_cast<int>(random.below(120)) - 60;
    const double x = random.normal(), y = std::ldexp(random.normal(), binary);
    const long double wide_x = x, wide_y = y;
    const auto exact = static_cast<double>(std::sqrt(wide_x * wide_x + wide_y * wide_y));
    EXPECT_LE(std::abs(magnitude(x, y) - exact), ulp(exact)) << x << ' ' << y;
  }
  EXPECT_EQ(magnitude(3, -4), 5);
  EXPECT_EQ(magnitude({-0.6, 0.8}), 1);
}

TEST(Complex, MagnitudesNeitherOverflowNorUnderflow) {
  EXPECT_DOUBLE_EQ(magnitude(3e300, 4e300), 5e300);
  EXPECT_EQ(magnitude(0x3p-1060, 0x4p-1060), 0x5p-1060);
  EXPECT_EQ(magnitude(0, 0), 0);
  EXPECT_EQ(magnitude(-kInfinity, kInfinity), kInfinity);
  EXPECT_EQ(magnitude(1, -kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(magnitude(std::nan(""), 1)));
}

// Poles of slow modes are next to the unit circle, where the logarithm of a rounded magnitude has
// few right places.
TEST(Complex, LogarithmsAreAccurateNearTheUnitCircle) {
  for (const double decay : {1e-12, 1e-6, 1e-3, 0.1, 0.3, 1.0, 5.0}) {
    for (int i = -8; i <= 8; ++i) {
      const double phase = std::numbers::pi / 8 * i * 0.999;
      const std::complex<double> z = std::polar(std::exp(-decay), phase);
      const long double re = z.real(), im = z.imag();
      const auto exact = static_cast<double>(std::log1p(re * re + im * im - 1) / 2);
      const std::complex<double> found = logarithm(z);
      // long double has 11 more bits.
      EXPECT_NEAR(found.real(), exact, 4 * ulp(decay) + 1e-19) << decay << ' ' << phase;
      EXPECT_EQ(found.imag(), std::arg(z));
    }
  }
  EXPECT_EQ(logarithm(1), 0.0);
  EXPECT_EQ(logarithm(-1.0).imag(), std::numbers::pi);
  EXPECT_EQ(logarithm(0).real(), -kInfinity);
}

// The same on every machine.
TEST(Complex, HasTheseBits) {
  Random random(2, Stream::kTest);
  Fnv1a<std::uint64_t> hash;
  for (int i = 0; i < 1000; ++i) {
    const double re = random.uniform() * 2 - 1, im = random.uniform() * 2 - 1;
    const double size = magnitude(re, im);
    const std::complex<double> log = logarithm({re, im});
    hash.add(&size, sizeof size);
    hash.add(&log, sizeof log);
  }
  EXPECT_EQ(hash.text(), "9966a219f0fde9c0");
}

}  // namespace
}  // namespace crosstate
