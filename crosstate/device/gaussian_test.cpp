// The model for sweeps: noise relative to the target or to g_max, without ageing.
#include <gtest/gtest.h>

#include <vector>

#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::aged;
using reference::draws_of;
using reference::expect_normal;
using reference::programmed_cells;

TEST(Gaussian, SpreadsByTheTargetOrByTheLargestConductance) {
  DeviceOptions options;
  options.programming_noise = 0.05;
  options.read_noise = 0.03;
  for (const double target : {2.0, 25.0}) {
    ModelPointer model = make_device_model(options);
    expect_normal(programmed_cells(*model, target, 10000), target, 0.05 * target);
    EXPECT_DOUBLE_EQ(model->read_deviation(target), 0.03 * target);
    DeviceOptions by_g_max = options;
    by_g_max.noise_relative_to = NoiseBase::kGmax;
    by_g_max.g_max = 40;
    model = make_device_model(by_g_max);
    EXPECT_EQ(model->range().high, 40);
    expect_normal(programmed_cells(*model, target, 10000), target, 0.05 * 40);
    EXPECT_DOUBLE_EQ(model->read_deviation(target), 0.03 * 40);
  }
}

// Curves over noise levels compare the same chips.
TEST(Gaussian, ScalesTheSameDraws) {
  DeviceOptions options;
  for (const double noise : {0.0, 0.01, 0.2}) {
    options.programming_noise = noise;
    const ModelPointer model = make_device_model(options);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_NEAR(model->programmed(8, draws_of(i)), 8 * (1 + noise * draws_of(i).programming()),
                  1e-12);
    }
  }
}

TEST(Gaussian, DoesNotAge) {
  const ModelPointer model = make_device_model(DeviceOptions());
  EXPECT_EQ(model->last_time(), kLongestTime);
  EXPECT_EQ(aged(*model, {-1, 0, 3, 30}, 1e9), (std::vector<double>{0, 0, 3, 30}));
}

}  // namespace
}  // namespace crosstate::device
