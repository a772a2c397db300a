#include "crosstate/data/integer_front_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/random.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(IntegerFrontEnd, RoundsSamplesTo16Bits) {
  EXPECT_EQ(pcm_of(0.0f), 0);
  EXPECT_EQ(pcm_of(0.5f / 32768), 1);  // ties upwards
  EXPECT_EQ(pcm_of(-0.5f / 32768), 0);
  EXPECT_EQ(pcm_of(0.49999997f / 32768), 0);
  EXPECT_EQ(pcm_of(1.0f), 32767);
  EXPECT_EQ(pcm_of(-1.0f), -32768);
  EXPECT_EQ(pcm_of(std::numeric_limits<float>::max()), 32767);
  EXPECT_EQ(pcm_of(-std::numeric_limits<float>::max()), -32768);
  for (int s = -32768; s <= 32767; ++s) {
    ASSERT_EQ(pcm_of(static_cast<float>(s) / 32768), s);
  }
}

TEST(IntegerFrontEnd, LogarithmsAreWithinTheirBoundAndAscend) {
  constexpr double kBound = 0x1p-11 + 0x1p-13;
  Random random(3, Stream::kTest);
  std::vector<std::int64_t> energies = {std::numeric_limits<std::int64_t>::max()};
  for (int e = 0; e < 63; ++e) {
    const std::int64_t power = std::int64_t{1} << e;
    energies.insert(energies.end(), {power, power + power / 2, power + power / 3});
    if (e > 1) energies.push_back(power - 1);
  }
  for (int i = 0; i < 20000; ++i) {
    energies.push_back(static_cast<std::int64_t>(std::exp2(random.uniform(0, 62.99))));
  }
  std::sort(energies.begin(), energies.end());
  std::int32_t before = 0;
  for (const std::int64_t energy : energies) {
    const std::int32_t got = integer_log2(energy);
    ASSERT_NEAR(std::ldexp(got, -10), std::log2(static_cast<double>(energy)), kBound) << energy;
    ASSERT_GE(got, before) << energy;
    before = got;
  }
  EXPECT_EQ(integer_log2(1), 0);
  EXPECT_EQ(integer_log2(std::int64_t{1} << 40), 40 << 10);
}

// log2 of the energy of every band in the unit of the integers, from the formulas.
std::vector<double> exact_energies(const IntegerBands& bands, std::span<const std::int16_t> s) {
  const std::size_t points = bands.points;
  std::vector<double> power;
  for (std::size_t k = 0; k <= points / 2; ++k) {
    double re = 0, im = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const double y = std::ldexp(static_cast<double>(bands.taper[i]) * s[i], -2);
      const double phase =
          2 * std::numbers::pi * static_cast<double>(k * i % points) / static_cast<double>(points);
      re += y * std::cos(phase);
      im -= y * std::sin(phase);
    }
    const double gain = 4 / static_cast<double>(points);
    power.push_back(std::ldexp((re * re + im * im) * gain * gain, -14));
  }
  std::vector<double> result;
  for (const IntegerBands::Band& band : bands.bands) {
    auto energy = static_cast<double>(bands.floor);
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      energy += power[band.first + i] * band.weights[i];
    }
    result.push_back(std::log2(energy));
  }
  return result;
}

FrontEndOptions whole(FrontEndOptions options = {}) {
  options.arithmetic = FrontEndArithmetic::kInteger;
  return options;
}

// Square waves of full scale at every frequency of the spectrum drive every sum to its limit.
TEST(IntegerFrontEnd, ExtremesDoNotOverflow) {
  for (const std::size_t window : {1, 2, 3, 4, 5, 8, 9, 31, 64, 100, 256}) {
    FrontEndOptions options = whole({.bands = 1, .low = 0});
    for (const double floor : {0.0, -100.0}) {
      options.floor = floor;
      const IntegerFrontEnd front_end(options, 8000, window, 1);
      const IntegerBands& bands = *front_end.bands;
      std::vector<WholeComplex> work;
      std::vector<std::int64_t> power;
      const auto compare = [&](const std::vector<std::int16_t>& samples, const std::string& what,
                               double tolerance = 0x1p-9) {
        std::vector<std::int32_t> got;
        bands.append(samples, work, power, got);
        const std::vector<double> wanted = exact_energies(bands, samples);
        ASSERT_EQ(got.size(), wanted.size());
        for (std::size_t b = 0; b < got.size(); ++b) {
          ASSERT_NEAR(std::ldexp(got[b], -10), wanted[b], tolerance)
              << what << ", window " << window << ", floor " << floor;
        }
      };
      for (const int level : {-32768, 32767, 0, 1, -1}) {
        compare(std::vector<std::int16_t>(window, static_cast<std::int16_t>(level)),
                "constant " + std::to_string(level), std::abs(level) == 1 ? 0x1p-5 : 0x1p-9);
      }
      for (std::size_t k = 0; k <= bands.points / 2; ++k) {
        for (const double shift : {0.0, 0.25, 0.37}) {
          std::vector<std::int16_t> samples(window);
          for (std::size_t i = 0; i < window; ++i) {
            const double turns =
                static_cast<double>(k * i) / static_cast<double>(bands.points) + shift;
            samples[i] = std::cos(2 * std::numbers::pi * turns) < 0 ? std::int16_t{-32768}
                                                                    : std::int16_t{32767};
          }
          compare(samples, "square wave " + std::to_string(k));
        }
      }
      Random random(9, Stream::kTest);
      for (int trial = 0; trial < 20; ++trial) {
        std::vector<std::int16_t> samples(window);
        for (std::int16_t& s : samples) s = random.uniform() < 0.5 ? -32768 : 32767;
        compare(samples, "random signs");
      }
    }
  }
}

TEST(IntegerFrontEnd, DecimatorSaturates) {
  for (const int factor : {2, 3, 64}) {
    FrontEndOptions options = whole({.kind = FrontEndKind::kWaveform});
    options.decimation = factor;
    const IntegerFrontEnd front_end(options, 8000, 1, 1);
    const IntegerDecimator& decimator = front_end.decimator;
    // Each sample of full scale with the sign of its tap: the largest output possible.
    std::vector<std::int16_t> most, least;
    for (const std::int16_t tap : decimator.taps) {
      most.push_back(tap < 0 ? -32768 : 32767);
      least.push_back(tap < 0 ? 32767 : -32768);
    }
    EXPECT_EQ(decimator(most), 32767) << factor;
    EXPECT_EQ(decimator(least), -32768) << factor;
    const std::vector<std::int16_t> constant(decimator.taps.size(), 10000);
    EXPECT_NEAR(decimator(constant), 10000, 5) << factor;
  }
}

TEST(IntegerFrontEnd, NormalisesWithinItsRange) {
  IntegerFrontEnd front_end(whole(), 8000, 200, 80);
  const std::size_t features = front_end.features();
  for (const float scale : {0.0f, 1e-6f, 0.01f, 0.7f, 1.0f, 30.0f, 1e6f}) {
    for (const float mean : {-25.0f, -3.25f, 0.0f, 10.0f}) {
      front_end.normalise(std::vector<float>(features, mean), std::vector<float>(features, scale));
      for (const FeatureScale& s : front_end.scales) {
        EXPECT_GE(s.factor, 0);
        EXPECT_LE(s.factor, 1 << 24);
        EXPECT_GE(s.shift, 1);
        EXPECT_LE(s.shift, 30);
        EXPECT_LE(std::abs(s.bias), std::int64_t{1} << 52);
      }
      for (const std::int32_t value : {0, 12345, 30000, 65535}) {
        const double v = (std::ldexp(value, -10) - front_end.bands->unit) * std::numbers::ln2;
        const double wanted = std::clamp((v - double{mean}) * double{scale}, -128.0, 128.0);
        // A step of the logarithm beyond the largest factor saturates, too.
        const double got = std::ldexp(front_end.scales[0](value), -kFeaturePlaces);
        EXPECT_NEAR(got, wanted, 0x1p-15 + 0x1p-19 * double{scale}) << scale << ' ' << mean;
      }
    }
  }
  front_end.normalise(std::vector<float>(features, -1e30f), std::vector<float>(features, 1e6f));
  EXPECT_EQ(front_end.scales[0](0), kLargestFeature);
}

// The definition does not change: models depend on every bit.
TEST(IntegerFrontEnd, KeepsItsBits) {
  const auto digest = [](FrontEndOptions options, std::size_t window, std::size_t hop) {
    IntegerFrontEnd front_end(whole(options), 8000, window, hop);
    front_end.normalise(std::vector<float>(front_end.features(), -9.5f),
                        std::vector<float>(front_end.features(), 0.4f));
    std::vector<std::int16_t> samples;
    std::uint32_t word = 12345;
    for (int i = 0; i < 6000; ++i) {
      word = word * 1664525u + 1013904223u;
      // Louder with time: from silence to full scale.
      samples.push_back(
          static_cast<std::int16_t>((static_cast<int>(word >> 16) - 32768) >> (15 - i / 375)));
    }
    IntegerFrontEndStream stream(front_end);
    std::vector<std::int32_t> frames;
    stream.push(samples, frames);
    Fnv1a<std::uint32_t> hash;
    for (const std::int32_t z : frames) hash.add(std::to_string(z) + ' ');
    return hash.value();
  };
  EXPECT_EQ(digest({}, 200, 80), 2481658447u);
  EXPECT_EQ(digest({.decimation = 2, .deltas = true}, 128, 50), 4054952985u);
  EXPECT_EQ(digest({.kind = FrontEndKind::kWaveform, .decimation = 3}, 1, 1), 335061908u);
}

TEST(IntegerFrontEnd, RefusesFloorsBelowTheRangeOf16Bits) {
  FrontEndOptions options = whole({.floor = -101});
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("front_end.floor = -101, expected at least -100")));
  options.kind = FrontEndKind::kWaveform;  // has no floor
  validate(options);
}

}  // namespace
}  // namespace crosstate::data
