#include "crosstate/device/write_verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::draws_of;

// Pulses and reads without noise.
DeviceOptions exact() {
  DeviceOptions options;
  options.write_verify = true;
  options.pulse_noise = options.read_noise = 0;
  return options;
}

Verified written(const DeviceOptions& options, double target, std::size_t cell = 0) {
  return write_verify(options, *make_device_model(options), target, draws_of(cell));
}

// Every pulse leaves 1 - gain of what is missing: 20, 6, 1.8, 0.54, 0.162 uS.
TEST(WriteVerify, ApproachesTheTargetByTheGain) {
  const Verified cell = written(exact(), 20);
  EXPECT_TRUE(cell.accepted);
  EXPECT_EQ(cell.pulses, 4);
  EXPECT_NEAR(cell.conductance, 20 - 20 * std::pow(0.3, 4), 1e-12);
}

TEST(WriteVerify, NeedsNoPulseWithinTheTolerance) {
  DeviceOptions options = exact();
  options.tolerance = 0.02;  // of 25 uS
  EXPECT_EQ(written(options, 0.5).pulses, 0);
  EXPECT_EQ(written(options, 0.5).conductance, 0);
  EXPECT_EQ(written(options, 0.51).pulses, 1);
}

TEST(WriteVerify, StopsAfterTheLastPulse) {
  DeviceOptions options = exact();
  options.max_pulses = 2;
  const Verified cell = written(options, 20);
  EXPECT_FALSE(cell.accepted);
  EXPECT_EQ(cell.pulses, 2);
  EXPECT_NEAR(cell.conductance, 20 - 20 * 0.09, 1e-12);
}

TEST(WriteVerify, StaysWithinTheRangeOfTheModel) {
  DeviceOptions options = exact();
  options.pulse_gain = 3;  // overshoots: 25, then below 0
  options.max_pulses = 1;
  EXPECT_EQ(written(options, 20).conductance, 25);
  options.max_pulses = 2;
  EXPECT_NEAR(written(options, 20).conductance, 25 - 15, 1e-12);
  options.model = "milo";  // starts at its lowest conductance
  options.max_pulses = 0;
  EXPECT_EQ(written(options, 100).conductance, 50);
}

TEST(WriteVerify, StepsHaveTheNoiseOfPulses) {
  DeviceOptions options = exact();
  options.pulse_noise = 0.3;
  options.max_pulses = 1;
  for (std::size_t i = 0; i < 20; ++i) {
    const double step = 0.7 * 10 * (1 + 0.3 * draws_of(i).pulse(0));
    EXPECT_NEAR(written(options, 10, i).conductance, std::max(0.0, step), 1e-12) << i;
  }
}

// A read decides, so the last conductance misses the target by the tolerance and its noise.
TEST(WriteVerify, AcceptsWhatIsRead) {
  DeviceOptions options = exact();
  options.pulse_noise = 0.3;
  options.read_noise = 0.01;
  double squares = 0;
  constexpr std::size_t kCells = 2000;
  for (std::size_t i = 0; i < kCells; ++i) {
    const Verified cell = written(options, 20, i);
    ASSERT_TRUE(cell.accepted) << i;
    const double read =
        cell.conductance * (1 + 0.01 * draws_of(i).verify(static_cast<std::uint32_t>(cell.pulses)));
    EXPECT_LE(std::abs(read - 20), 0.25 + 1e-12) << i;
    squares += (cell.conductance - 20) * (cell.conductance - 20);
  }
  const double deviation = std::sqrt(squares / kCells);
  EXPECT_GT(deviation, 0.05);
  EXPECT_LT(deviation, 0.25 + 0.2);
}

TEST(WriteVerify, DependsOnTheAddressAlone) {
  DeviceOptions options = exact();
  options.pulse_noise = 0.3;
  EXPECT_EQ(written(options, 20, 3).conductance, written(options, 20, 3).conductance);
  EXPECT_NE(written(options, 20, 3).conductance, written(options, 20, 4).conductance);
}

}  // namespace
}  // namespace crosstate::device
