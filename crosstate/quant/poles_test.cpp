#include "crosstate/quant/poles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "crosstate/base/random.h"

namespace crosstate::quant {
namespace {

using Complex = std::complex<double>;

constexpr double kFixed = 1 << kPoleFraction;

std::vector<Complex> random_poles(Random& random, std::size_t count) {
  // Decays and phases over the whole range of the codes, a few beyond it.
  std::vector<Complex> poles;
  for (std::size_t i = 0; i < count; ++i) {
    const double decay = std::exp(random.uniform(std::log(1e-6), std::log(8)));
    poles.push_back(std::polar(std::exp(-decay), random.uniform(-1, 1) * std::numbers::pi));
  }
  return poles;
}

constexpr PoleCoding kCodings[] = {PoleCoding::kLogPolar, PoleCoding::kPolar,
                                   PoleCoding::kCartesian, PoleCoding::kIncrement};

// Replaces poles by the values of their codes.
PoleScales fake_quantize(std::vector<Complex>& poles, const PoleSite& site) {
  const QuantizedPoles rounded = quantize_poles(poles, site);
  EXPECT_EQ(rounded.re.size(), poles.size());
  for (std::size_t i = 0; i < poles.size(); ++i) {
    poles[i] = {pole_value(rounded.re[i]), pole_value(rounded.im[i])};
  }
  return rounded.scales;
}

TEST(QuantizePoles, AreContractiveAndFixedPointAtEveryWidthInEveryCoding) {
  Random random(3, Stream::kTest);
  for (const PoleCoding coding : kCodings) {
    for (int bits = 2; bits <= 16; ++bits) {
      for (int channel = 0; channel < 500; ++channel) {
        std::vector<Complex> poles =
            random_poles(random, 1 + static_cast<std::size_t>(channel) % 9);
        fake_quantize(poles, {bits, coding});
        for (const Complex a : poles) {
          const double re = a.real() * kFixed, im = a.imag() * kFixed;
          ASSERT_EQ(re, std::nearbyint(re)) << crosstate::name_of(coding) << bits;
          ASSERT_EQ(im, std::nearbyint(im)) << crosstate::name_of(coding) << bits;
          ASSERT_LT(re * re + im * im, kFixed * kFixed) << crosstate::name_of(coding) << bits;
        }
      }
    }
  }
}

TEST(QuantizePoles, ComeAsCloseAsTheirCodesAllow) {
  Random random(4, Stream::kTest);
  for (int bits = 3; bits <= 12; ++bits) {
    for (int channel = 0; channel < 200; ++channel) {
      std::vector<Complex> exact;
      for (int n = 0; n < 8; ++n) {
        const double decay = std::exp(random.uniform(std::log(2e-3), std::log(2)));
        exact.push_back(std::polar(std::exp(-decay), random.uniform(-1, 1)));
      }
      std::vector<Complex> log_polar = exact, polar = exact, cartesian = exact;
      const PoleScales scales = fake_quantize(log_polar, {bits, PoleCoding::kLogPolar});
      fake_quantize(polar, {bits, PoleCoding::kPolar});
      fake_quantize(cartesian, {bits, PoleCoding::kCartesian});
      const double codes = pole_levels(bits) - 1;
      const double log_half = std::log(scales.fastest / scales.slowest) / codes / 2;
      const double half = (scales.fastest - scales.slowest) / codes / 2;
      const double phase_half = (scales.most_phase - scales.least_phase) / codes / 2;
      for (std::size_t n = 0; n < exact.size(); ++n) {
        const double decay = -std::log(std::abs(exact[n]));
        // Half a step of the codes, plus the rounding to fixed point.
        const double fixed = 1.5 / kFixed / std::abs(exact[n]);
        EXPECT_LE(std::abs(std::log(std::abs(log_polar[n])) + decay),
                  decay * std::expm1(log_half) + fixed);
        EXPECT_LE(std::abs(std::log(std::abs(polar[n])) + decay), half + fixed);
        EXPECT_LE(std::abs(std::arg(log_polar[n] * std::conj(exact[n]))), phase_half + fixed);
        EXPECT_LE(std::abs(cartesian[n] - exact[n]), 1.5 * std::sqrt(2) / std::exp2(bits - 1));
      }
    }
  }
}

// Both parts of A - 1 are m 2^-k with `bits` bits in m, for one k.
bool is_increment(std::int16_t re, std::int16_t im, int bits) {
  const std::int32_t low = -(1 << (bits - 1)), high = -low - 1;
  for (int k = 0; k <= kPoleFraction; ++k) {
    const std::int32_t step = 1 << (kPoleFraction - k), real = re - (1 << kPoleFraction);
    if (real % step != 0 || im % step != 0) continue;
    if (std::min<std::int32_t>(real, im) / step >= low &&
        std::max<std::int32_t>(real, im) / step <= high) {
      return true;
    }
  }
  return false;
}

TEST(QuantizePoles, IncrementsFitTheirBitsAndAShift) {
  Random random(5, Stream::kTest);
  for (int bits = 2; bits <= 16; ++bits) {
    const std::vector<Complex> poles = random_poles(random, 2000);
    const QuantizedPoles codes = quantize_poles(poles, {bits, PoleCoding::kIncrement});
    for (std::size_t i = 0; i < poles.size(); ++i) {
      ASSERT_TRUE(is_increment(codes.re[i], codes.im[i], bits))
          << bits << " bits, " << codes.re[i] << ' ' << codes.im[i];
    }
  }
}

// Of all codes inside the unit circle, by trying each.
TEST(QuantizePoles, IncrementsAreTheClosestStableCodes) {
  Random random(6, Stream::kTest);
  for (int bits = 2; bits <= 6; ++bits) {
    const std::vector<Complex> poles = random_poles(random, 150);
    const QuantizedPoles codes = quantize_poles(poles, {bits, PoleCoding::kIncrement});
    for (std::size_t i = 0; i < poles.size(); ++i) {
      const double low = -std::exp2(bits - 1), high = -low - 1;
      double closest = 2;
      for (int k = 0; k <= kPoleFraction; ++k) {
        for (double re = low; re <= 0; ++re) {
          for (double im = low; im <= high; ++im) {
            const Complex a = 1.0 + std::ldexp(1.0, -k) * Complex(re, im);
            if (std::abs(a) < 1) closest = std::min(closest, std::abs(a - poles[i]));
          }
        }
      }
      const Complex found(double{pole_value(codes.re[i])}, double{pole_value(codes.im[i])});
      EXPECT_NEAR(std::abs(found - poles[i]), closest, 1e-12) << bits << ' ' << poles[i];
    }
  }
}

// The step is relative to the increment, so that few bits tell slow modes apart.
TEST(QuantizePoles, IncrementsOfSlowModesAreFine) {
  for (const int bits : {4, 6, 8}) {
    for (const double decay : {0.05, 0.01, 0.002, 5e-4}) {
      const std::vector<Complex> poles{std::polar(1 - decay, decay / 2)};
      const QuantizedPoles codes = quantize_poles(poles, {bits, PoleCoding::kIncrement});
      const Complex found(double{pole_value(codes.re[0])}, double{pole_value(codes.im[0])});
      EXPECT_LE(std::abs(found - poles[0]), decay * std::exp2(1.5 - bits) + 1 / kFixed)
          << bits << ' ' << decay;
    }
  }
}

TEST(QuantizePoles, TheEndsOfAChannelAreCodes) {
  std::vector<Complex> poles{std::polar(std::exp(-0.01), 0.3), std::polar(std::exp(-0.5), -0.7),
                             std::polar(std::exp(-0.02), 0.0)};
  const std::vector<Complex> exact = poles;
  const PoleScales scales = fake_quantize(poles, {2, PoleCoding::kLogPolar});
  EXPECT_NEAR(scales.slowest, 0.01, 1e-12);
  EXPECT_NEAR(scales.fastest, 0.5, 1e-12);
  EXPECT_NEAR(scales.least_phase, -0.7, 1e-12);
  EXPECT_NEAR(scales.most_phase, 0.3, 1e-12);
  EXPECT_NEAR(std::abs(poles[0] - exact[0]), 0, 2 / kFixed);
  EXPECT_NEAR(std::abs(poles[1] - exact[1]), 0, 2 / kFixed);
  // Ternary codes: the ends and the middle of each grid.
  EXPECT_NEAR(std::abs(poles[2]), std::abs(exact[0]), 2 / kFixed);
  EXPECT_NEAR(std::arg(poles[2]), -0.2, 2 / kFixed);
}

TEST(QuantizePoles, AreFixedPointNumbers) {
  const std::vector<Complex> poles{{0.5, -0.25}, {0.25, 0.75}};
  for (const int bits : {3, 8, 16}) {
    const QuantizedPoles rounded = quantize_poles(poles, {bits, PoleCoding::kCartesian});
    EXPECT_EQ(rounded.re, (std::vector<std::int16_t>{8192, 4096})) << bits;
    EXPECT_EQ(rounded.im, (std::vector<std::int16_t>{-4096, 12288})) << bits;
  }
  EXPECT_EQ(gain_value(kPoleFraction), 1);
  EXPECT_EQ(gain_value(0), pole_value(1));
}

TEST(QuantizePoles, KeepsRealPolesReal) {
  for (const PoleCoding coding : kCodings) {
    std::vector<Complex> poles{0.99, 0.3, -0.05, -0.9999999};
    fake_quantize(poles, {6, coding});
    for (const Complex a : poles) EXPECT_EQ(a.imag(), 0) << crosstate::name_of(coding);
    EXPECT_LT(poles[3].real(), -0.9) << crosstate::name_of(coding);
    EXPECT_GT(poles[3].real(), -1) << crosstate::name_of(coding);
  }
}

}  // namespace
}  // namespace crosstate::quant
