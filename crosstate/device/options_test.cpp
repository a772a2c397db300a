#include "crosstate/device/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/device/draws.h"
#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::device_of;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(DeviceOptions, RejectsBadValues) {
  DeviceOptions options;
  options.g_min = 30;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("device.g_min")));
  options = {};
  options.read_noise = -0.1;
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr("device.read_noise")));
  EXPECT_NO_THROW(validate(DeviceOptions{}));
}

TEST(DeviceOptions, AreChecked) {
  const auto refused = [](const DeviceOptions& options, const std::string& part) {
    EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr(part)));
  };
  DeviceOptions options = device_of("pcm");
  options.read_noise = 0.5;
  refused(options, "device.read_noise applies to the model gaussian");
  options = device_of("pcm");
  options.table = "x.csv";
  refused(options, "device.table");
  options = device_of("pcm");
  options.acceptance = CmoAcceptance::kWide;
  refused(options, "device.acceptance");
  options = device_of("moon");
  refused(options, "device.model");
  options = device_of("pcm");
  options.open = 0.6;
  options.stuck_low = 0.6;
  refused(options, "= 1.2, expected at most 1");
  options = device_of("pcm");
  options.temperature = 350;
  refused(options, "activation_energy");
  options = device_of("rram-cmo");
  options.g_min = 5;
  refused(options, "device.g_min = 5, expected at least 9");
  options = device_of("pcm");
  options.g_min = 25;
  refused(options, "expected less than device.g_max = 25");
  options = device_of("pcm");
  options.g_max = 1e-7;
  refused(options, "device.g_max = 1e-07, expected 0 (the model's own) or at least 1e-06");
  refused(device_of("table"), "device.table");
  for (const std::string& model : device_model_names()) {
    if (model == "table") continue;
    EXPECT_NO_THROW(validate(device_of(model))) << model;
  }
}

// Every name that device.model allows has its own statistics.
TEST(DeviceModels, AreAllDifferent) {
  std::map<std::vector<double>, std::string> seen;
  FieldList list;
  DeviceOptions options;
  fields(list, options);
  const auto model = std::ranges::find(list.all(), "device.model", &Field::key);
  ASSERT_NE(model, list.all().end());
  EXPECT_EQ(model->choices.size(), kDeviceModels.size());
  for (const std::string& name : model->choices) {
    EXPECT_STREQ(device_model(name).name, name.c_str());
    if (name == "table") {
      EXPECT_THAT([&] { make_device_model(device_of(name)); },
                  ThrowsMessage<Error>(HasSubstr("device.table")));
    }
    const std::string table = name == "table" ? "time,target,mean,sigma\n0,1,1,1\n0,90,90,1\n" : "";
    const auto made = make_device_model(device_of(name), table);
    const ConductanceRange range = made->range();
    std::vector<double> statistics{range.low, range.high};
    const std::vector<double> targets(50, range.low + 0.6 * (range.high - range.low));
    std::vector<double> programmed, aged(targets.size());
    for (std::uint32_t i = 0; i < targets.size(); ++i) {
      programmed.push_back(made->programmed(targets[i], CellDraws({1, 0, i})));
    }
    const double time = std::min(1e5, made->last_time());
    if (time > 0) made->age({targets, programmed, 1, 0}, time, aged);
    statistics.insert(statistics.end(), programmed.begin(), programmed.end());
    statistics.insert(statistics.end(), aged.begin(), aged.end());
    const auto [twin, is_new] = seen.try_emplace(statistics, name);
    EXPECT_TRUE(is_new) << name << " is " << twin->second;
  }
  for (const char* name : {"", "PCM", "pcm ", "hermes-double"}) {
    EXPECT_THAT([&] { make_device_model(device_of(name)); },
                ThrowsMessage<Error>(HasSubstr("unknown name")));
  }
}

TEST(DeviceModels, TellTheNearestName) {
  EXPECT_STREQ(device_model("pcm").name, "pcm");
  EXPECT_THAT([] { device_model("hermse"); },
              ThrowsMessage<Error>(HasSubstr("\"hermse\"; the nearest is hermes, all are pcm,")));
}

}  // namespace
}  // namespace crosstate::device
