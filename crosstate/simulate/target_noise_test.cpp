#include "crosstate/simulate/target_noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/analog/steps.h"
#include "crosstate/integer/testing.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/array_plan.h"

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

TEST(TargetNoise, OfAbsoluteErrorsIsInStepsOfTheConverters) {
  const integer::IntegerNetwork n = network();
  crossbar::Target target = exact();
  EXPECT_EQ(target_noise(n, target, 0, 1).conversion, 0);
  target.crossbar.adc_noise = 0.25;
  EXPECT_EQ(target_noise(n, target, 0, 1).state, 0);  // steps are crossbar.adc_noise
  target.crossbar.adc_noise = 0;
  target.crossbar.adc_noise_floor = 0.2;
  target.crossbar.read_voltage = 0.5;
  const TargetNoise found = target_noise(n, target, 0, 1);
  EXPECT_EQ(found.device, 0);
  EXPECT_EQ(found.read, 0);

  const mapping::Mapping mapping = mapping::map_network(n, target.crossbar, 1);
  double states = 0, count = 0;
  for (std::size_t i = 0; i < mapping.arrays.size(); ++i) {
    const mapping::MappedArray& array = mapping.arrays[i];
    const crossbar::ArrayPlan plan = array_plan(n, mapping, target.crossbar, i);
    for (std::size_t c = 0; c < array.states; ++c) {
      // uS per unit of weight, times volts per code.
      const double unit = array.line(c).unit() > 0 ? array.line(c).unit() : 1;
      const double noise = 0.2 / (25 / unit * 0.5 / double{plan.largest_code});
      const double step = plan.ranges[c].own ? plan.ranges[c].range / analog::converter_high(8)
                                             : plan.ranges[c].step;
      states += std::pow(noise / step, 2);
      count += 1;
    }
  }
  ASSERT_GT(count, 0);
  EXPECT_NEAR(found.state, std::sqrt(states / count), 1e-3 * found.state);

  quant::QuantOptions quant;
  train_for(target.crossbar, found, 2, quant);
  EXPECT_DOUBLE_EQ(quant.array.noise, 2 * found.conversion);
  EXPECT_DOUBLE_EQ(quant.array.state_noise, 2 * found.state);
  quant = {};
  quant.state.residue_bits = 4;
  train_for(target.crossbar, found, 1, quant);
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0);
  quant = {};
  quant.array.noise = 0.1;
  train_for(target.crossbar, found, 1, quant);
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0.1);
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
