#include "crosstate/data/augment_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/mnist.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kRows = 24, kColumns = 31;
constexpr std::uint32_t kTrials = 200;

std::vector<float> varied_image(const AugmentOptions& options, const std::vector<float>& image,
                                std::uint32_t trial) {
  Random random(3, Stream::kTest, trial);
  std::vector<float> result(image.size());
  vary_image(options, kRows, image, random, result);
  return result;
}

// A disc of three pixels' radius about a position, with a soft edge.
std::vector<float> disc(double y, double x) {
  std::vector<float> image(kRows * kColumns);
  for (std::size_t i = 0; i < image.size(); ++i) {
    const double distance =
        std::hypot(static_cast<double>(i / kColumns) - y, static_cast<double>(i % kColumns) - x);
    image[i] = static_cast<float>(std::clamp(3.5 - distance, 0.0, 1.0));
  }
  return image;
}

// Mass and its centre relative to that of the image.
struct Mass {
  double total = 0, y = 0, x = 0;
};

Mass mass(const std::vector<float>& image) {
  Mass mass;
  for (std::size_t i = 0; i < image.size(); ++i) {
    mass.total += static_cast<double>(image[i]);
    mass.y += static_cast<double>(image[i]) * static_cast<double>(i / kColumns);
    mass.x += static_cast<double>(image[i]) * static_cast<double>(i % kColumns);
  }
  mass.y = mass.y / mass.total - (kRows - 1) / 2.0;
  mass.x = mass.x / mass.total - (kColumns - 1) / 2.0;
  return mass;
}

TEST(VaryImage, ChangesNothingByDefault) {
  const std::vector<float> image = disc(9, 17);
  EXPECT_EQ(varied_image({}, image, 0), image);
}

TEST(VaryImage, ShiftsInBothDirectionsUpToTheLimit) {
  AugmentOptions options;
  options.image.shift = 2;
  const Mass before = mass(disc(12, 15));
  std::set<std::pair<long, long>> shifts;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const std::vector<float> after = varied_image(options, disc(12, 15), trial);
    const long y = std::lround(mass(after).y - before.y), x = std::lround(mass(after).x - before.x);
    EXPECT_EQ(after, disc(12.0 + double(y), 15.0 + double(x)));  // as sharp as before
    shifts.insert({y, x});
  }
  EXPECT_EQ(shifts.size(), 25);
  EXPECT_EQ(*shifts.begin(), std::pair(-2l, -2l));
  EXPECT_EQ(*shifts.rbegin(), std::pair(2l, 2l));
}

TEST(VaryImage, RotatesAboutTheCentre) {
  AugmentOptions options;
  options.image.rotation = 30;
  const Mass before = mass(disc(8, 20));
  double least = 90, most = -90;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const Mass after = mass(varied_image(options, disc(8, 20), trial));
    EXPECT_NEAR(std::hypot(after.y, after.x), std::hypot(before.y, before.x), 0.05);
    const double angle =
        (std::atan2(after.y, after.x) - std::atan2(before.y, before.x)) * 180 / std::numbers::pi;
    least = std::min(least, angle);
    most = std::max(most, angle);
  }
  EXPECT_GE(least, -30.5);
  EXPECT_LT(least, -28);
  EXPECT_LE(most, 30.5);
  EXPECT_GT(most, 28);
}

TEST(VaryImage, ScalesAboutTheCentre) {
  AugmentOptions options;
  options.image.scale = 0.2;
  const Mass before = mass(disc(8, 20));
  double least = 9, most = 0;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    const Mass after = mass(varied_image(options, disc(8, 20), trial));
    const double size = std::hypot(after.y, after.x) / std::hypot(before.y, before.x);
    EXPECT_NEAR(after.y / after.x, before.y / before.x, 0.03);
    EXPECT_NEAR(after.total / before.total, size * size, 0.03);
    least = std::min(least, size);
    most = std::max(most, size);
  }
  EXPECT_GE(least, 0.79);
  EXPECT_LT(least, 0.82);
  EXPECT_LE(most, 1.21);
  EXPECT_GT(most, 1.18);
}

TEST(VaryImage, PixelsFromOutsideAreZero) {
  AugmentOptions options;
  options.image.shift = 1000;
  const std::vector<float> zeros(kRows * kColumns), ones(kRows * kColumns, 1.0f);
  std::size_t empty = 0;
  for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
    empty += varied_image(options, ones, trial) == zeros ? 1 : 0;
  }
  EXPECT_GT(empty, kTrials / 2);
}

TEST(VaryImage, TakesImagesOfOneRowOrColumn) {
  AugmentOptions options;
  options.image.shift = 1;
  options.image.rotation = 180;
  options.image.scale = 0.9;
  for (const std::size_t rows : {1u, 7u}) {
    for (std::uint32_t trial = 0; trial < kTrials; ++trial) {
      Random random(3, Stream::kTest, trial);
      const std::vector<float> image(7, 1.0f);
      std::vector<float> result(7);
      vary_image(options, rows, image, random, result);
      for (const float pixel : result) EXPECT_TRUE(pixel >= 0 && pixel <= 1) << pixel;
    }
  }
}

class ImageAugmenterTest : public testing::Test {
 protected:
  ImageAugmenterTest() {
    options_.image.shift = 2;
    options_.image.rotation = 10;
  }

  ThreadPool one_{1}, three_{3};
  AugmentOptions options_;
  Dataset images_ = first(read_mnist_sample().train, 30);
};

TEST_F(ImageAugmenterTest, EpochsAreAddressedBySeedAndNumber) {
  ImageAugmenter a(images_, 0, options_, 5, one_), b(images_, 0, options_, 5, three_);
  ImageAugmenter other(images_, 0, options_, 6, one_);
  const Dataset zeroth = a.epoch(0), next = a.epoch(1);
  zeroth.validate();
  EXPECT_NE(zeroth.values, images_.values);
  EXPECT_NE(zeroth.values, next.values);
  EXPECT_EQ(zeroth.targets, images_.targets);
  EXPECT_NE(zeroth.values, other.epoch(0).values);
  // In another order and with another number of threads.
  EXPECT_EQ(b.epoch(1).values, next.values);
  EXPECT_EQ(b.epoch(0).values, zeroth.values);
}

TEST_F(ImageAugmenterTest, TakesVariantsInTurn) {
  ImageAugmenter endless(images_, 0, options_, 5, three_);
  options_.variants = 2;
  ImageAugmenter repeated(images_, 0, options_, 5, three_);
  for (const std::uint32_t epoch : {3u, 0u, 1u, 2u}) {
    EXPECT_EQ(repeated.epoch(epoch).values, endless.epoch(epoch % 2).values) << epoch;
  }
}

TEST_F(ImageAugmenterTest, PermutesWhatItVaried) {
  ImageAugmenter rows(images_, 0, options_, 5, one_), permuted(images_, 9, options_, 5, one_);
  Dataset expected = rows.epoch(4);
  permute_steps(expected, 9);
  EXPECT_EQ(permuted.epoch(4).values, expected.values);
}

TEST_F(ImageAugmenterTest, RefusesWhatHasNoRows) {
  const auto expect_refused = [&](const char* message) {
    EXPECT_THAT([&] { ImageAugmenter(images_, 0, options_, 5, one_); },
                ThrowsMessage<Error>(HasSubstr(message)));
  };
  images_.rows = 27;
  expect_refused("784 pixels in 27 rows");
  images_.rows = 28;
  permute_steps(images_, 9);
  expect_refused("no rows of pixels");
  images_.rows = 28;
  images_.channels = 2;
  images_.length = 392;
  expect_refused("2 values per pixel");
}

}  // namespace
}  // namespace crosstate::data
