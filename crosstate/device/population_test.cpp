#include "crosstate/device/population.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"

namespace crosstate::device {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Population sample(const std::string& model, PopulationOptions options, int threads = 1) {
  DeviceOptions device;
  device.model = model;
  ThreadPool pool(threads);
  return sample_devices(device, options, 5, pool);
}

TEST(Population, IsThatOfItsCells) {
  const PopulationOptions options{.target_conductance = 10, .count = 1001, .time = 3600, .bins = 7};
  const Population found = sample("pcm", options);
  DeviceOptions device;
  device.model = "pcm";
  Cells cells(device, std::vector<double>(1001, 10), 5, 0);
  cells.age_to(3600);
  std::vector<double> g(cells.conductance().begin(), cells.conductance().end());
  std::sort(g.begin(), g.end());
  double sum = 0, squares = 0;
  for (const double v : g) sum += v / 1001;
  for (const double v : g) squares += (v - sum) * (v - sum) / 1000;
  EXPECT_NEAR(found.mean, sum, 1e-9);
  EXPECT_NEAR(found.deviation, std::sqrt(squares), 1e-9);
  EXPECT_EQ(found.lowest, g.front());
  EXPECT_EQ(found.highest, g.back());
  for (const auto& [share, value] : found.quantiles) {
    if (share == 0.5) {
      EXPECT_EQ(value, g[500]);
    }
    if (share == 0.25) {
      EXPECT_EQ(value, g[250]);
    }
  }
  EXPECT_EQ(found.programming.cells, 1001u);
}

TEST(Population, DoesNotDependOnTheThreads) {
  const PopulationOptions options{.target_conductance = 10, .count = 140000, .time = 1, .bins = 9};
  const Population one = sample("simple", options, 1), three = sample("simple", options, 3);
  EXPECT_EQ(one.mean, three.mean);
  EXPECT_EQ(one.deviation, three.deviation);
  EXPECT_EQ(histogram_csv(one.histogram), histogram_csv(three.histogram));
}

TEST(Population, HistogramCountsEveryDevice) {
  const Population found =
      sample("sonos", {.target_conductance = 8, .count = 5000, .time = 100, .bins = 13});
  ASSERT_EQ(found.histogram.size(), 13u);
  const double width = (found.highest - found.lowest) / 13;
  std::uint64_t devices = 0;
  double share = 0;
  for (const Bin& bin : found.histogram) {
    devices += bin.count;
    share += bin.density * width;
  }
  EXPECT_EQ(devices, 5000u);
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NEAR(found.histogram.front().centre, found.lowest + width / 2, 1e-9);
  EXPECT_THAT(histogram_csv(found.histogram),
              testing::StartsWith("conductance_uS,count,density\n"));
  EXPECT_GT(found.read_deviation, 0.1);
}

TEST(Histogram, HasDecimalPointsInEveryLocale) {
  const std::string csv = "conductance_uS,count,density\n0.25,7,1.5e-05\n123456.789,0,0\n";
  const std::vector<Bin> bins = {{0.25, 7, 1.5e-5}, {123456.789, 0, 0}};
  EXPECT_EQ(histogram_csv(bins), csv);
  const DecimalComma locale;
  EXPECT_EQ(histogram_csv(bins), csv);
}

TEST(Population, OfOneDeviceHasNoSpread) {
  const Population found = sample("pcm", {.target_conductance = 0, .count = 1});
  EXPECT_EQ(found.deviation, 0);
  ASSERT_EQ(found.histogram.size(), 1u);
  EXPECT_EQ(found.histogram[0].count, 1u);
}

TEST(Population, TakesTheMiddleOfTheRangeByDefault) {
  EXPECT_DOUBLE_EQ(sample("rram-cmo", {.count = 3}).target, 48.6);
}

TEST(Population, RefusesWhatTheModelDoesNotDefine) {
  EXPECT_THAT([] { sample("neurram", {.target_conductance = 10, .count = 3, .time = 1e6}); },
              ThrowsMessage<Error>(HasSubstr("expected 0 s to 172800 s")));
  EXPECT_THAT([] { sample("pcm", {.target_conductance = 26, .count = 3}); },
              ThrowsMessage<Error>(HasSubstr("target 26 uS")));
  EXPECT_THAT([] { sample("pcm", {.target_conductance = -0.5, .count = 3}); },
              ThrowsMessage<Error>(HasSubstr("--target-conductance")));
}

}  // namespace
}  // namespace crosstate::device
