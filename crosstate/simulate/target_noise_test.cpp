#include "crosstate/simulate/target_noise.h"

#include <gtest/gtest.h>

#include "crosstate/integer/testing.h"

namespace crosstate::simulate {
namespace {

integer::IntegerNetwork network() {
  return integer::fixtures::network(0, integer::fixtures::sequences(0));
}

crossbar::Target exact() {
  crossbar::Target target;
  target.device.programming_noise = target.device.read_noise = 0;
  target.crossbar.increment_range = crossbar::IncrementRange::kFitted;
  return target;
}

TEST(TargetNoise, OfAbsoluteErrorsIsRelativeToTheLargestCell) {
  const integer::IntegerNetwork n = network();
  crossbar::Target target = exact();
  EXPECT_EQ(target_noise(n, target, 0, 1).floor, 0);
  target.crossbar.adc_noise = 0.25;  // in steps
  EXPECT_EQ(target_noise(n, target, 0, 1).floor, 0);
  target.crossbar.adc_noise_floor = 0.2;
  target.crossbar.read_voltage = 0.5;
  const TargetNoise found = target_noise(n, target, 0, 1);
  EXPECT_EQ(found.device, 0);
  EXPECT_EQ(found.read, 0);
  // 0.2 uA of 25 uS at 0.5 V.
  EXPECT_NEAR(found.floor, 0.2 / (25 * 0.5), 1e-5);

  quant::QuantOptions quant;
  train_for(target.crossbar, found, 2, quant);
  EXPECT_DOUBLE_EQ(quant.array.noise, 0.5);
  EXPECT_DOUBLE_EQ(quant.array.noise_floor, 2 * found.floor);
  quant = {};
  quant.state.residue_bits = 4;
  train_for(target.crossbar, found, 1, quant);
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0);
  quant = {};
  quant.array.noise_floor = 0.1;
  train_for(target.crossbar, found, 1, quant);
  EXPECT_EQ(quant::resolved(quant).array.noise_floor, 0.1);
}

// Whether 1/f noise stays or is drawn for every inference, an inference finds as much of it.
TEST(TargetNoise, CountsAllFlickerOfAnInference) {
  crossbar::Target target = exact();
  target.device = {};
  target.device.model = "pcm";
  target.device.drift = false;
  const double frozen = target_noise(network(), target, 86400, 1).device;
  target.device.inference_time = 0.042;
  EXPECT_NEAR(target_noise(network(), target, 86400, 1).device, frozen, 0.15 * frozen);
  target.device.flicker = false;
  EXPECT_LT(target_noise(network(), target, 86400, 1).device, 0.9 * frozen);
}

}  // namespace
}  // namespace crosstate::simulate
