#include "crosstate/data/mel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using reference::tone;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(MelBands, PutsATonesPowerWhereItBelongs) {
  const MelShape shape{256, 8000, 20, 60, 4000, -80};
  MelBands bands(shape);
  std::vector<float> out(shape.bands);
  for (const double frequency : {250.0, 1000.0, 3000.0}) {  // each in the middle of a bin
    bands(tone(frequency, shape.window, 1), out.data());
    const auto loudest = std::max_element(out.begin(), out.end()) - out.begin();
    const double place = (mel(frequency) - mel(60)) / (mel(4000) - mel(60)) * 21 - 1;
    EXPECT_NEAR(static_cast<double>(loudest), place, 0.51) << frequency;
    // Adjacent triangles divide what the Hann window spreads over three bins: 1 + 2 / 4.
    double sum = 0;
    for (const float x : out) sum += std::exp(static_cast<double>(x));
    EXPECT_NEAR(sum, 1.5, 0.02) << frequency;
  }
  bands(std::vector<float>(shape.window, 0.0f), out.data());
  for (const float x : out) EXPECT_NEAR(x, std::log(1e-8), 1e-4);
}

TEST(MelBands, ScaleIsTheUsualOne) {
  EXPECT_NEAR(mel(1000), 999.99, 0.01);
  EXPECT_EQ(mel(0), 0);
  for (const double f : {0.0, 60.0, 4000.0}) EXPECT_NEAR(hertz_of_mel(mel(f)), f, 1e-9);
}

TEST(MelBands, RefusesWhatDoesNotFit) {
  EXPECT_THAT(
      [] {
        MelBands({200, 8000, 20, 60, 4001, -80});
      },
      ThrowsMessage<Error>(HasSubstr("half the sample rate")));
  EXPECT_THAT(
      [] {
        MelBands({200, 8000, 20, 300, 300, -80});
      },
      ThrowsMessage<Error>(HasSubstr("ascending")));
  EXPECT_THAT(
      [] {
        MelBands({64, 8000, 40, 60, 4000, -80});
      },
      ThrowsMessage<Error>(HasSubstr("fewer bands")));
}

TEST(MelTriangles, ShareEveryFrequencyBetweenTheirMiddles) {
  const MelShape shape{256, 8000, 10, 100, 3000, -80};
  const std::vector<Triangle> bands = mel_triangles(shape);
  ASSERT_EQ(bands.size(), 10u);
  std::vector<double> sums(129);
  for (const Triangle& band : bands) {
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      EXPECT_GT(band.weights[i], 0);
      sums[band.first + i] += band.weights[i];
    }
  }
  const auto corner = [](int i) {
    return hertz_of_mel(mel(100) + (mel(3000) - mel(100)) * i / 11);
  };
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const double hertz = 8000.0 / 256 * static_cast<double>(k);
    if (hertz > corner(1) && hertz < corner(10)) {
      EXPECT_NEAR(sums[k], 1, 1e-12) << hertz;
    } else if (hertz < 100 || hertz > 3000) {
      EXPECT_EQ(sums[k], 0) << hertz;
    }
  }
}

TEST(Hann, IsSymmetricWithoutZeros) {
  for (const std::size_t window : {1u, 4u, 7u}) {
    const std::vector<double> taper = hann(window);
    for (std::size_t i = 0; i < window; ++i) {
      EXPECT_GT(taper[i], 0);
      EXPECT_NEAR(taper[i], taper[window - 1 - i], 1e-15);
    }
  }
  EXPECT_NEAR(hann(7)[3], 1, 1e-15);
}

TEST(SpectrumPoints, AreTheNextPowerOfTwo) {
  EXPECT_EQ(spectrum_points(1), 4u);
  EXPECT_EQ(spectrum_points(256), 256u);
  EXPECT_EQ(spectrum_points(257), 512u);
}

}  // namespace
}  // namespace crosstate::data
