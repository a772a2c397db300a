#include "crosstate/device/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "crosstate/base/error.h"

namespace crosstate::device {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ModelList, HaveNamesOfTheirOwn) {
  const std::vector<std::string> names = device_model_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (const std::string& name : names) EXPECT_EQ(device_model(name).name, name);
}

TEST(ModelList, TellTheNearestToAnUnknownName) {
  EXPECT_THAT([] { device_model("neuram"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("\"neuram\""), HasSubstr("nearest is neurram,"),
                                         HasSubstr("hermes"))));
}

TEST(ModelList, OfMeasurementsNeedThem) {
  DeviceOptions options;
  options.model = "table";
  EXPECT_THAT([&] { make_device_model(options); },
              ThrowsMessage<Error>(AllOf(HasSubstr("device.table"), HasSubstr("CSV file"))));
  const std::string table = "time,target,mean,sigma\n0,1,1,0.5\n0,80,80,0.5\n";
  EXPECT_EQ(make_device_model(options, table)->source(), table);
}

TEST(ModelList, ScaleTheLowestConductanceWithTheHighest) {
  DeviceOptions options;
  options.model = "pcm";
  const auto model = make_device_model(options);
  const ConductanceRange own = conductance_range(options, *model);
  EXPECT_EQ(own.high, model->range().high);
  options.g_max = 2 * own.high;
  EXPECT_DOUBLE_EQ(conductance_range(options, *model).low, 2 * own.low);
  options.g_min = 1.5;
  EXPECT_EQ(conductance_range(options, *model).low, 1.5);
}

TEST(ModelList, AreDefinedForTheTimesOfTheirMeasurements) {
  DeviceOptions options;
  options.model = "rram-cmo";
  const auto cmo = make_device_model(options);
  for (const double t : {0.0, 1.0, 86400.0}) require_defined(*cmo, "rram-cmo", t);
  EXPECT_THAT([&] { require_defined(*cmo, "rram-cmo", 0.5); },
              ThrowsMessage<Error>(AllOf(HasSubstr("time 0.5 s"), HasSubstr("0, and 1 s to"))));
  options.model = "sonos";
  const auto sonos = make_device_model(options);
  EXPECT_THAT([&] { require_defined(*sonos, "sonos", 1e7); },
              ThrowsMessage<Error>(HasSubstr("432000 s")));
}

// The variance of 1/f noise is divided, not changed, by the duration of an inference.
TEST(ModelList, DivideFlickerNoiseByTheDurationOfAnInference) {
  constexpr double kReadTime = 250e-9;
  for (const double seconds : {1.0, 3600.0, 86400.0}) {
    const double all = std::log((seconds + kReadTime) / (2 * kReadTime));
    for (const double inference : {0.0, 1e-9, 1e-3, 10.0, 1e9}) {
      const FlickerClock clock = flicker_clock(seconds, kReadTime, inference);
      EXPECT_NEAR(clock.slow + clock.fast, all, 1e-12 * all);
      EXPECT_GE(clock.slow, 0);
      EXPECT_EQ(clock.fast == 0, inference <= kReadTime);
    }
  }
}

}  // namespace
}  // namespace crosstate::device
