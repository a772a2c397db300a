#include "crosstate/quant/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "crosstate/base/random.h"

namespace crosstate {
namespace {

using Complex = std::complex<double>;
using Floats = std::vector<float>;

TEST(RoundWeights, UsesTheLargestMagnitudeFromFourBitsOn) {
  // The scale is 1, so values round to whole numbers, ties to even.
  Floats w{127, -64, 3.4f, -3.6f, 2.5f, 0};
  EXPECT_EQ(round_weights(w, 1, 8, true), Floats{1});
  EXPECT_EQ(w, (Floats{127, -64, 3, -4, 2, 0}));

  w = {-3.5f, 1.2f, 0.2f};  // 4 bits: 7 codes on either side, scale 1/2
  EXPECT_EQ(round_weights(w, 1, 4, false), Floats{0.5f});
  EXPECT_EQ(w, (Floats{-3.5f, 1, 0}));
}

TEST(RoundWeights, HasOneScalePerRowOrOneForAll) {
  const Floats original{127, 1, -1.27f, 0.01f};
  Floats w = original;
  Floats scales = round_weights(w, 2, 8, true);
  ASSERT_EQ(scales.size(), 2u);
  EXPECT_FLOAT_EQ(scales[0], 1);
  EXPECT_FLOAT_EQ(scales[1], 0.01f);
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_FLOAT_EQ(w[i], original[i]);

  w = original;
  scales = round_weights(w, 2, 8, false);
  EXPECT_EQ(scales, Floats{1});
  EXPECT_EQ(w, (Floats{127, 1, -1, 0}));
}

TEST(RoundWeights, LeavesRowsOfZerosAlone) {
  for (const int bits : {2, 3, 4, 8, 16}) {
    Floats w{0, 0, 2, -1};
    const Floats scales = round_weights(w, 2, bits, true);
    EXPECT_EQ(scales[0], 1) << bits;
    EXPECT_EQ(w[0], 0) << bits;
    EXPECT_EQ(w[1], 0) << bits;
    EXPECT_GT(scales[1], 0) << bits;
  }
  Floats none;
  EXPECT_TRUE(round_weights(none, 0, 8, true).empty());
}

TEST(RoundWeights, TernaryWeightsHaveThreeLevelsAndTheSearchHelps) {
  Random random(1, Stream::kTest);
  Floats w(1000);
  for (float& v : w) v = static_cast<float>(random.normal());
  const Floats original = w;
  const Floats scales = round_weights(w, 1, 2, true);
  EXPECT_EQ(std::set<float>(w.begin(), w.end()), (std::set<float>{-scales[0], 0, scales[0]}));
  // The best ternary scale of a normal distribution is 1.224 (Lloyd-Max, three levels).
  EXPECT_NEAR(scales[0], 1.224, 0.1);

  const float peak = *std::max_element(original.begin(), original.end());
  double searched = 0, widest = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    searched += std::pow(w[i] - original[i], 2);
    widest += std::pow(std::nearbyint(original[i] / peak) * peak - original[i], 2);
  }
  EXPECT_LT(searched, 0.5 * widest);
}

TEST(RoundWeights, StaysOnTheGridWithinHalfAStep) {
  Random random(2, Stream::kTest);
  for (int bits = 2; bits <= 16; ++bits) {
    for (const bool power_of_two : {false, true}) {
      Floats w(64);
      for (float& v : w) v = static_cast<float>(random.normal());
      const Floats original = w;
      const double limit = std::exp2(bits - 1) - 1;
      const Floats scales = round_weights(w, 4, bits, true, power_of_two);
      ASSERT_EQ(scales.size(), 4u);
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double scale = scales[i / 16], code = w[i] / scale;
        EXPECT_NEAR(code, std::nearbyint(code), 1e-6 * limit) << bits;
        EXPECT_LE(std::abs(code), limit * (1 + 1e-6)) << bits;
        if (std::abs(original[i]) <= limit * scale) {
          EXPECT_LE(std::abs(w[i] - original[i]), 0.5001 * scale) << bits;
        }
        if (power_of_two) {
          EXPECT_EQ(std::exp2(std::nearbyint(std::log2(scale))), scale);
        }
      }
    }
  }
}

TEST(RoundPole, StaysContractiveAndCloseAtEveryWidth) {
  // Poles with decays and phases from the whole range of the codes.
  constexpr double kSlowest = 1e-4, kFastest = 4;
  Random random(3, Stream::kTest);
  for (int bits = 2; bits <= 16; ++bits) {
    const double codes = std::exp2(bits);
    // Half a step on the logarithmic grid: the bound on the error of the time constant.
    const double half = std::log(kFastest / kSlowest) / (codes - 1) / 2;
    const double step = std::exp2(1 - bits);
    double worst_decay = 0, worst_phase = 0, worst_part = 0, largest = 0;
    for (int i = 0; i < 100000; ++i) {
      const double decay = std::exp(random.uniform(std::log(kSlowest), std::log(kFastest)));
      const double phase = random.uniform(-std::numbers::pi, std::numbers::pi);
      const Complex a = std::polar(std::exp(-decay), phase);
      const Complex p = round_pole_log_polar(a, bits), c = round_pole_cartesian(a, bits);
      for (const Complex& r : {p, c}) {
        // As the kernels see it.
        const auto re = static_cast<float>(r.real()), im = static_cast<float>(r.imag());
        largest = std::max(largest, std::hypot(static_cast<double>(re), static_cast<double>(im)));
      }
      worst_decay = std::max(worst_decay, std::abs(std::log(-std::log(std::abs(p)) / decay)));
      worst_phase = std::max(worst_phase, std::abs(std::arg(p * std::conj(a))));
      worst_part = std::max(
          {worst_part, std::abs(c.real() - a.real()) / step, std::abs(c.imag() - a.imag()) / step});
      ASSERT_EQ(c.real() / step, std::nearbyint(c.real() / step)) << bits;
      ASSERT_EQ(c.imag() / step, std::nearbyint(c.imag() / step)) << bits;
    }
    EXPECT_LT(largest, 1) << bits << " bits";
    EXPECT_LE(worst_decay, half * (1 + 1e-9) + 1e-9) << bits << " bits";
    EXPECT_LE(worst_phase, std::numbers::pi / (codes - 2) + 1e-9) << bits << " bits";
    // Half a step by rounding, one more where the unit circle is near.
    EXPECT_LE(worst_part, 1.5) << bits << " bits";
  }
}

TEST(RoundPole, ClampsBeyondTheGridAndKeepsRealPolesReal) {
  EXPECT_NEAR(-std::log(round_pole_log_polar(1 - 1e-9, 8).real()), 1e-4, 1e-12);
  EXPECT_NEAR(-std::log(round_pole_log_polar(0, 8).real()), 4, 1e-12);
  for (const double a : {0.99, 0.3, 0.05}) {
    EXPECT_EQ(round_pole_log_polar(a, 6).imag(), 0);
    EXPECT_EQ(round_pole_cartesian(a, 6).imag(), 0);
    EXPECT_NEAR(round_pole_log_polar(-a, 6).imag(), 0, 1e-15);
    EXPECT_LT(round_pole_log_polar(-a, 6).real(), 0);
  }
  EXPECT_EQ(round_pole_cartesian({0.999, 0}, 8), Complex(127.0 / 128, 0));
  EXPECT_EQ(round_pole_cartesian({0, -0.999}, 2), Complex(0, -0.5));
}

TEST(NearestPowerOfTwo, RoundsTheExponent) {
  for (int e = -20; e <= 20; ++e) {
    EXPECT_EQ(nearest_power_of_two(std::exp2(e)), std::exp2(e));
    EXPECT_EQ(nearest_power_of_two(1.41 * std::exp2(e)), std::exp2(e));
    EXPECT_EQ(nearest_power_of_two(1.42 * std::exp2(e)), std::exp2(e + 1));
  }
}

}  // namespace
}  // namespace crosstate
