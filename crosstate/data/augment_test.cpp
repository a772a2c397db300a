#include "crosstate/data/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using reference::noise;
using reference::tone;
using reference::tone_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

double power(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum / static_cast<double>(x.size());
}

std::vector<float> varied(const AugmentOptions& options, std::vector<float> samples,
                          std::uint32_t trial, std::size_t least = 80) {
  Random random(3, Stream::kTest, trial);
  vary_samples(options, 8000, least, random, samples);
  return samples;
}

TEST(Augment, NothingIsTheDefault) {
  EXPECT_FALSE(AugmentOptions{}.any());
  EXPECT_EQ(varied({}, noise(500, 1), 0), noise(500, 1));
  EXPECT_TRUE(varied({}, {}, 0).empty());
}

TEST(Augment, GainStaysWithinItsDecibels) {
  AugmentOptions options;
  options.gain = 6;
  double least = 1e9, most = 0;
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const double gain = varied(options, {0.5f, 0.25f}, trial)[0] / 0.5;
    least = std::min(least, gain);
    most = std::max(most, gain);
  }
  EXPECT_GE(least, std::pow(10, -6 / 20.0) - 1e-6);
  EXPECT_LE(most, std::pow(10, 6 / 20.0) + 1e-6);
  EXPECT_LT(least, 0.55);
  EXPECT_GT(most, 1.8);
}

TEST(Augment, ShiftMovesTheBeginningAlone) {
  AugmentOptions options;
  options.shift = 20;  // 160 samples
  const std::vector<float> samples = noise(1000, 1);
  bool earlier = false, later = false;
  for (std::uint32_t trial = 0; trial < 50; ++trial) {
    const std::vector<float> out = varied(options, samples, trial);
    EXPECT_LE(std::abs(static_cast<double>(out.size()) - 1000.0), 160);
    earlier |= out.size() < 1000;
    later |= out.size() > 1000;
    const std::size_t kept = std::min<std::size_t>(out.size(), 1000);
    EXPECT_TRUE(std::equal(samples.rbegin(), samples.rbegin() + static_cast<std::ptrdiff_t>(kept),
                           out.rbegin()));
    for (std::size_t i = 0; i + kept < out.size(); ++i) EXPECT_EQ(out[i], 0);
  }
  EXPECT_TRUE(earlier && later);
}

TEST(Augment, EnoughSamplesRemain) {
  AugmentOptions options;
  options.shift = 500;
  options.speed = 0.5;
  for (std::uint32_t trial = 0; trial < 100; ++trial) {
    EXPECT_GE(varied(options, noise(90, 1), trial, 80).size(), 80u);
  }
}

TEST(Augment, SpeedChangesPitchAndLengthAlike) {
  AugmentOptions options;
  options.speed = 0.2;
  for (std::uint32_t trial = 0; trial < 20; ++trial) {
    const std::vector<float> out = varied(options, tone(500, 4000), trial);
    const double speed = 4000 / static_cast<double>(out.size());
    EXPECT_GT(speed, 0.8 - 0.001);
    EXPECT_LT(speed, 1.2 + 0.001);
    const std::vector<float> expected =
        tone(500 * 3999 / (static_cast<double>(out.size()) - 1), out.size());
    double worst = 0;
    // The length gives the speed to within one sample, which is little over 200 samples.
    for (std::size_t i = 0; i < 200; ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(out[i] - expected[i])));
    }
    EXPECT_LT(worst, 0.02);
  }
}

TEST(Augment, NoiseHasTheDrawnRatioAndProbability) {
  AugmentOptions options;
  options.noise = 0.5;
  options.snr_low = options.snr_high = 20;
  const std::vector<float> samples = tone(500, 8000);
  int noisy = 0;
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    std::vector<float> out = varied(options, samples, trial);
    if (out == samples) continue;
    ++noisy;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] -= samples[i];
    EXPECT_NEAR(10 * std::log10(power(samples) / power(out)), 20, 1) << trial;
  }
  EXPECT_NEAR(noisy, 100, 36);  // five standard deviations
}

TEST(Augment, MasksStretchesAndBandsWithTheirSlopes) {
  AugmentOptions options;
  options.time_masks = 1;
  options.time_mask = 40;  // 4 frames
  options.band_masks = 1;
  options.band_mask = 2;
  constexpr std::size_t kBands = 5, kFeatures = 10, kFrames = 12;
  std::size_t widest_stretch = 0, widest_group = 0;
  for (std::uint32_t trial = 0; trial < 300; ++trial) {
    std::vector<float> frames(kFrames * kFeatures, 1.0f);
    Random random(3, Stream::kTest, trial);
    mask_frames(options, kBands, kFeatures, 0.01, random, frames);
    std::size_t silent = 0, masked = 0;
    for (std::size_t t = 0; t < kFrames; ++t) {
      const float* frame = &frames[t * kFeatures];
      const auto zeros = static_cast<std::size_t>(std::count(frame, frame + kFeatures, 0.0f));
      if (zeros == kFeatures) {
        ++silent;
        continue;
      }
      masked = zeros;
      for (std::size_t f = 0; f < kBands; ++f) EXPECT_EQ(frame[f], frame[f + kBands]);
    }
    widest_stretch = std::max(widest_stretch, silent);
    widest_group = std::max(widest_group, masked);
  }
  EXPECT_EQ(widest_stretch, 4u);
  EXPECT_EQ(widest_group, 4u);  // two bands and their slopes

  // Masks larger than the whole.
  options.time_mask = 10000;
  options.band_mask = 256;
  std::vector<float> frames(kFrames * kFeatures, 1.0f);
  for (std::uint32_t trial = 0; trial < 50; ++trial) {
    Random random(3, Stream::kTest, trial);
    mask_frames(options, kBands, kFeatures, 0.01, random, frames);
  }
}

TEST(RecordingAugmenter, EpochsAreAddressedBySeedAndNumber) {
  AugmentOptions options;
  options.shift = 10;
  options.gain = 6;
  options.speed = 0.1;
  options.noise = 0.5;
  options.time_masks = options.band_masks = 1;
  ThreadPool one(1), three(3);
  const Recordings set = tone_set(30, 4);
  FrontEnd front_end({}, 8000);
  front_end.fit(set, one);
  RecordingAugmenter a(set, front_end, options, 5, one), b(set, front_end, options, 5, three);
  RecordingAugmenter other(set, front_end, options, 6, one);
  const Dataset first = a.epoch(0);
  const Dataset second = a.epoch(1);
  first.validate();
  EXPECT_NE(first.values, second.values);
  EXPECT_EQ(first.targets, second.targets);
  EXPECT_NE(first.values, other.epoch(0).values);
  // In another order and with another number of threads.
  EXPECT_EQ(b.epoch(1).values, second.values);
  EXPECT_EQ(b.epoch(1).lengths, second.lengths);
  EXPECT_EQ(b.epoch(0).values, first.values);
  EXPECT_EQ(a.epoch(0).values, first.values);
}

TEST(RecordingAugmenter, TakesVariantsInTurn) {
  AugmentOptions options;
  options.gain = 6;
  ThreadPool pool(2);
  const Recordings set = tone_set(10, 4);
  const FrontEnd front_end({}, 8000);
  RecordingAugmenter endless(set, front_end, options, 5, pool);
  options.variants = 3;
  RecordingAugmenter repeated(set, front_end, options, 5, pool);
  for (const std::uint32_t epoch : {7u, 0u, 1u, 2u, 3u, 4u, 300u}) {
    EXPECT_EQ(repeated.epoch(epoch).values, endless.epoch(epoch % 3).values) << epoch;
  }
}

TEST(RecordingAugmenter, WithoutVariationIsTheSetItself) {
  ThreadPool pool(2);
  const Recordings set = tone_set(10, 4);
  const FrontEnd front_end({}, 8000);
  RecordingAugmenter augmenter(set, front_end, {}, 5, pool);
  EXPECT_EQ(augmenter.epoch(3).values, make_sequences(set, front_end, pool).values);
}

TEST(AugmentOptions, AreChecked) {
  AugmentOptions options;
  options.snr_low = 30;
  options.snr_high = 20;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("augment.snr_low")));
  options = {};
  options.speed = 0.9;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("augment.speed")));
}

TEST(AugmentOptions, LeaveBandsOfEveryRecording) {
  AugmentOptions options;
  options.band_masks = 1;
  options.band_mask = 7;
  FrontEndOptions front_end;
  front_end.bands = 8;
  validate(options, front_end);
  options.band_mask = 8;
  EXPECT_THAT([&] { validate(options, front_end); },
              ThrowsMessage<Error>(HasSubstr("augment.band_mask = 8")));
  front_end.bands = 20;
  front_end.kind = FrontEndKind::kWaveform;
  EXPECT_THAT([&] { validate(options, front_end); },
              ThrowsMessage<Error>(HasSubstr("augment.band_masks = 1")));
  options.band_masks = 0;
  validate(options, front_end);
}

}  // namespace
}  // namespace crosstate::data
