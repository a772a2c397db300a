#include "crosstate/kernels/state_draws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace crosstate::kernels {
namespace {

constexpr std::uint32_t kDraws = 1u << kStateDrawBits;

// Values that every other implementation has to reproduce.
TEST(StateDraws, AreThoseOfTheSpecification) {
  EXPECT_EQ(mix(0), 0u);
  EXPECT_EQ(mix(1), 0x688990c0u);
  EXPECT_EQ(mix(0xffffffff), 0x6768824au);
  EXPECT_EQ(state_key(kDeployedSeed, 0), 0x212ca684u);
  EXPECT_EQ(state_key(kDeployedSeed, 5), 0x523eddaeu);
  const StateDraw draw = state_draw(state_key(kDeployedSeed, 5), 783);
  EXPECT_EQ(draw.re, 5501u);
  EXPECT_EQ(draw.im, 13225u);
}

using Source = std::function<std::uint32_t(std::uint32_t)>;

// Sequences of draws along each part of their address.
const std::vector<Source>& sources() {
  static const std::vector<Source> all = {
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, 3), i).re; },
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, 3), i).im; },
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, i), 100).re; },
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, i), 100).im; },
      [](std::uint32_t i) { return state_draw(state_key(i, 7), 9).re; },
      [](std::uint32_t i) { return state_draw(state_key(i, 7), 9).im; },
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, i / 784), i % 784).re; },
      [](std::uint32_t i) { return state_draw(state_key(kDeployedSeed, i / 784), i % 784).im; }};
  return all;
}

// Chi-square over bins of equal probability; the bound is five standard deviations above its mean.
TEST(StateDraws, AreUniform) {
  constexpr std::uint32_t kCount = 1 << 18, kBins = 1 << 10;
  for (std::size_t s = 0; s < sources().size(); ++s) {
    for (const std::uint32_t shift : {0u, 4u}) {  // the lower and the upper bits of a draw
      std::vector<double> bins(kBins, 0);
      for (std::uint32_t i = 0; i < kCount; ++i) ++bins[(sources()[s](i) >> shift) % kBins];
      const double expected = static_cast<double>(kCount) / kBins;
      double chi = 0;
      for (const double n : bins) chi += (n - expected) * (n - expected) / expected;
      EXPECT_LT(chi, kBins - 1 + 5 * std::sqrt(2.0 * kBins)) << "source " << s;
      EXPECT_GT(chi, kBins - 1 - 5 * std::sqrt(2.0 * kBins)) << "source " << s;
    }
  }
}

double correlation(const Source& a, const Source& b, std::uint32_t lag) {
  constexpr std::uint32_t kCount = 1 << 16;
  const double middle = (kDraws - 1) / 2.0, variance = (double{kDraws} * kDraws - 1) / 12;
  double sum = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) sum += (a(i) - middle) * (b(i + lag) - middle);
  return sum / variance / std::sqrt(double{kCount});  // in standard deviations
}

TEST(StateDraws, OfNeighboursAreIndependent) {
  for (std::size_t s = 0; s < sources().size(); ++s) {
    for (const std::uint32_t lag : {1u, 2u, 3u, 4u, 8u, 16u, 28u, 64u, 256u}) {
      EXPECT_LT(std::abs(correlation(sources()[s], sources()[s], lag)), 5)
          << "source " << s << ", lag " << lag;
    }
  }
}

TEST(StateDraws, OfPartsModesAndSequencesAreIndependent) {
  const auto real = [](std::uint32_t seed, std::uint32_t mode) -> Source {
    return [=](std::uint32_t i) { return state_draw(state_key(seed, mode), i).re; };
  };
  EXPECT_LT(std::abs(correlation(sources()[0], sources()[1], 0)), 5);
  for (std::uint32_t other = 0; other < 64; ++other) {
    if (other != 3) {
      EXPECT_LT(std::abs(correlation(real(1, 3), real(1, other), 0)), 5) << "mode " << other;
    }
    if (other != 1) {
      EXPECT_LT(std::abs(correlation(real(1, 3), real(other, 3), 0)), 5) << "seed " << other;
    }
  }
}

}  // namespace
}  // namespace crosstate::kernels
