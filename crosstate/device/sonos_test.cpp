// Charge-trap memory against the published currents, with values computed from docs/devices.md.
#include <gtest/gtest.h>

#include <vector>

#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::aged;
using reference::expect_normal;
using reference::programmed_cells;

constexpr double kDay = 86400;

struct Published {
  double target, fresh, day, five_days, read;
};
constexpr Published kPublished[] = {{0.3, 0.0311226683, 0.0379483826, 0.0465908662, 0.0163554993},
                                    {5, 0.187233432, 0.238270752, 0.314802789, 0.113452784},
                                    {16, 0.198877237, 0.255851, 0.345646249, 0.125725231}};

ModelPointer model_of(bool drift = true) {
  DeviceOptions options;
  options.model = "sonos";
  options.drift = drift;
  return make_device_model(options);
}

TEST(Sonos, HasTheRangeAndTheTimesOfItsSource) {
  EXPECT_EQ(model_of()->range().low, 0);
  EXPECT_EQ(model_of()->range().high, 16);
  EXPECT_EQ(model_of()->last_time(), 5 * kDay);
}

TEST(Sonos, SpreadsWithTime) {
  const ModelPointer model = model_of();
  for (const Published& p : kPublished) {
    SCOPED_TRACE(p.target);
    const std::vector<double> g = programmed_cells(*model, p.target, 10000);
    expect_normal(g, p.target, p.fresh);
    expect_normal(aged(*model, g, kDay, 5, p.target), p.target, p.day);
    expect_normal(aged(*model, g, 5 * kDay, 5, p.target), p.target, p.five_days);
    EXPECT_EQ(aged(*model_of(false), g, 5 * kDay, 5, p.target), g);
  }
}

TEST(Sonos, VariesFromReadToRead) {
  for (const Published& p : kPublished) {
    EXPECT_NEAR(model_of()->read_deviation(p.target), p.read, 1e-8) << p.target;
  }
  EXPECT_EQ(model_of()->read_deviation(0), 0);
}

}  // namespace
}  // namespace crosstate::device
