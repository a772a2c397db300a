#include "crosstate/data/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using reference::noise;
using reference::tone;
using testing::ElementsAre;

// All windows of a stream that arrives in pieces.
std::vector<std::vector<int>> windows_of(Windows<int>& windows, const std::vector<int>& samples,
                                         std::size_t piece) {
  std::vector<std::vector<int>> all;
  for (std::size_t at = 0; at < samples.size(); at += piece) {
    const std::size_t size = std::min(piece, samples.size() - at);
    windows.push(std::span(samples).subspan(at, size), [&](std::span<const int> window) {
      all.emplace_back(window.begin(), window.end());
    });
  }
  return all;
}

TEST(Windows, EndWithEveryHopAndBeginWithSilence) {
  for (const std::size_t piece : {1u, 3u, 7u}) {
    Windows<int> overlapping(4, 2);
    EXPECT_THAT(
        windows_of(overlapping, {1, 2, 3, 4, 5, 6, 7}, piece),
        ElementsAre(ElementsAre(0, 0, 1, 2), ElementsAre(1, 2, 3, 4), ElementsAre(3, 4, 5, 6)));
    // Of a hop longer than the window, the end counts.
    Windows<int> apart(2, 3);
    EXPECT_THAT(windows_of(apart, {1, 2, 3, 4, 5, 6, 7}, piece),
                ElementsAre(ElementsAre(2, 3), ElementsAre(5, 6)));
    overlapping.reset();
    EXPECT_THAT(windows_of(overlapping, {8, 9}, piece), ElementsAre(ElementsAre(0, 0, 8, 9)));
  }
}

TEST(LowPass, IsSymmetricWithSumOne) {
  EXPECT_THAT(low_pass(1), ElementsAre(1));
  for (const int factor : {2, 3}) {
    const std::vector<double> taps = low_pass(factor);
    EXPECT_EQ(taps.size(), static_cast<std::size_t>(55 * factor | 1));
    double sum = 0;
    for (std::size_t i = 0; i < taps.size(); ++i) {
      sum += taps[i];
      EXPECT_NEAR(taps[i], taps[taps.size() - 1 - i], 1e-15);
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

double gain_at(int factor, double frequency) {  // of the new sample rate
  Decimator decimator(factor);
  std::vector<float> out;
  const std::size_t count = 400 * static_cast<std::size_t>(factor);
  decimator.push(tone(frequency / factor, count, 1, 1), out);
  double most = 0;  // after the filter has filled
  for (std::size_t i = 100; i < out.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(out[i])));
  }
  return 20 * std::log10(most);
}

TEST(Decimator, PassesLowAndStopsHighFrequencies) {
  for (const int factor : {2, 3, 5}) {
    // The samples of a sine of incommensurate frequency come close to its peak within 300 samples.
    for (const double f : {0.0137, 0.1931, Decimator::kPass - 0.0031}) {
      EXPECT_NEAR(gain_at(factor, f), 0, Decimator::kPassRipple) << factor << ' ' << f;
    }
    for (const double f : {Decimator::kStop + 0.0031, 0.7231, 0.5 * factor - 0.0131}) {
      EXPECT_LT(gain_at(factor, f), -Decimator::kStopAttenuation) << factor << ' ' << f;
    }
  }
  Decimator same(1);
  std::vector<float> out;
  same.push(noise(10, 1), out);
  EXPECT_EQ(out, noise(10, 1));
}

TEST(Deltas, AreTheSlopeOfTheLastFiveFrames) {
  Deltas deltas(2);
  for (int t = 0; t < 12; ++t) {
    const float frame[] = {3, 2.0f * static_cast<float>(t) + 1};
    float slope[2];
    deltas.push(frame, slope);
    EXPECT_NEAR(slope[0], 0, 1e-6);
    if (t == 0) {
      EXPECT_NEAR(slope[1], 0, 1e-6);
    }
    if (t >= 4) {
      EXPECT_NEAR(slope[1], 2, 1e-5);
    }
  }
}

TEST(Deltas, AreZeroAgainAfterAReset) {
  Deltas deltas(1);
  float slope = 0;
  for (const float x : {1.0f, 5.0f}) deltas.push(&x, &slope);
  EXPECT_NEAR(slope, 0.8, 1e-6);  // 0.2 (5 - 1)
  deltas.reset();
  const float other = -3;
  deltas.push(&other, &slope);
  EXPECT_EQ(slope, 0);
}

}  // namespace
}  // namespace crosstate::data
