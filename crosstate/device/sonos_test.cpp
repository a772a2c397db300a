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
  double target, fresh;
  double mean_of_day, day, mean_of_five_days, five_days, read;
};
constexpr Published kPublished[] = {
    {0.3, 0.0311155646, 0.30593596, 0.038649522, 0.314039272, 0.0485997609, 0.0163584172},
    {5, 0.187199739, 4.83240732, 0.236638218, 4.76472906, 0.311052644, 0.113460703},
    {16, 0.198843728, 15.5551898, 0.255848155, 15.3102886, 0.345576133, 0.125729017}};

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

TEST(Sonos, DriftsAndSpreadsWithTime) {
  const ModelPointer model = model_of();
  for (const Published& p : kPublished) {
    SCOPED_TRACE(p.target);
    const std::vector<double> g = programmed_cells(*model, p.target, 10000);
    expect_normal(g, p.target, p.fresh);
    expect_normal(aged(*model, g, kDay, 5, p.target), p.mean_of_day, p.day);
    expect_normal(aged(*model, g, 5 * kDay, 5, p.target), p.mean_of_five_days, p.five_days);
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
