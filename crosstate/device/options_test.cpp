#include "crosstate/device/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/device/current.h"
#include "crosstate/device/models.h"

namespace crosstate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

DeviceOptions of(const std::string& model) {
  DeviceOptions options;
  options.model = model;
  return options;
}

TEST(DeviceOptions, RejectsBadValues) {
  DeviceOptions options;
  options.g_min = 30;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("device.g_min")));
  options = {};
  options.read_noise = -0.1;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("device.read_noise")));
  options = {};
  options.noise_relative_to = "moon";
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("device.noise_relative_to")));
  EXPECT_NO_THROW(validate(DeviceOptions{}));
}

TEST(DeviceOptions, AreChecked) {
  const auto refused = [](const DeviceOptions& options, const std::string& part) {
    EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr(part)));
  };
  DeviceOptions options = of("pcm");
  options.read_noise = 0.5;
  refused(options, "device.read_noise is of the model gaussian");
  options = of("pcm");
  options.table = "x.csv";
  refused(options, "device.table");
  options = of("pcm");
  options.acceptance = "2";
  refused(options, "device.acceptance");
  options = of("rram-cmo");
  options.acceptance = "0.3";
  refused(options, "device.acceptance");
  options = of("moon");
  refused(options, "device.model");
  options = of("pcm");
  options.open = 0.6;
  options.stuck_low = 0.6;
  refused(options, "= 1.2, expected at most 1");
  options = of("pcm");
  options.temperature = 350;
  refused(options, "activation_energy");
  options = of("rram-cmo");
  options.g_min = 5;
  refused(options, "device.g_min = 5, expected at least 9");
  options = of("pcm");
  options.g_min = 25;
  refused(options, "expected less than device.g_max = 25");
  refused(of("table"), "device.table");
  for (const std::string& model : device_model_names()) {
    if (model == "table") continue;
    EXPECT_NO_THROW(validate(of(model))) << model;
  }
}

TEST(DeviceModels, TellTheNearestName) {
  EXPECT_STREQ(device_model("pcm").name, "pcm");
  EXPECT_THAT([] { device_model("hermse"); },
              ThrowsMessage<Error>(HasSubstr("\"hermse\"; the nearest is hermes, all are pcm,")));
}

TEST(Current, FollowsItsPolynomial) {
  DeviceOptions options;
  EXPECT_EQ(current(40, -0.5, options), -20);
  EXPECT_EQ(current_slope(40, -0.5, options), 40);
  options.nl2 = 6;
  options.nl3 = -3;
  EXPECT_DOUBLE_EQ(current(40, 0.5, options), 20 + 1.5 - 0.375);
  EXPECT_EQ(current(0, 0.5, options), 0);
  EXPECT_EQ(current_slope(0, 0.5, options), 0);
  for (const double V : {-0.7, 0.0, 0.3}) {
    const double h = 1e-6;
    EXPECT_NEAR(current_slope(40, V, options),
                (current(40, V + h, options) - current(40, V - h, options)) / (2 * h), 1e-6);
  }
}

}  // namespace
}  // namespace crosstate
