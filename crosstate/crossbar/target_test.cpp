#include "crosstate/crossbar/target.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "crosstate/device/options.h"

namespace crosstate::crossbar {
namespace {

TEST(Target, OfEveryNameButIdealHasErrorsOfDriversAndConverters) {
  for (const std::string& name : target_names()) {
    SCOPED_TRACE(name);
    const CrossbarOptions of = read_target(name).crossbar;
    for (const double error : {of.dac_gain_error, of.dac_inl, of.dac_noise_floor, of.adc_gain_error,
                               of.adc_inl, of.adc_offset_floor, of.adc_noise_floor}) {
      EXPECT_EQ(error > 0, name != "ideal");
    }
    // What shrinks with the range would be free of cost for small sums.
    EXPECT_EQ(of.adc_noise, 0);
    EXPECT_EQ(of.adc_offset, 0);
    EXPECT_EQ(of.dac_noise, 0);
  }
}

// The derivation of docs/chip.md: a full scale of 12 cells for 256 rows and 6 for 64, and an error
// of 0.59 steps rms, the median of published converters of 8 bits, half of it noise and half INL.
TEST(Target, HasTheNoiseOfPublishedConverters) {
  for (const std::string& name : target_names()) {
    if (name == "ideal") continue;
    SCOPED_TRACE(name);
    const Target target = read_target(name);
    const CrossbarOptions& of = target.crossbar;
    const double cell = device::conductance_range(target.device).high * of.read_voltage;
    const double step = (of.rows == 256 ? 12 : 6) * cell / 127;
    EXPECT_NEAR(of.adc_noise_floor / step, 0.42, 0.02);
    EXPECT_NEAR(of.adc_offset_floor / step, 0.5, 0.02);
    if (name == "generic-64x64") continue;
    // The mean square of b 3 sqrt(3) / 2 (t - t^3) over the range is b^2 (27 / 4) (8 / 105).
    const double inl = of.adc_inl * std::sqrt(27.0 / 4 * 8 / 105);
    EXPECT_NEAR(std::hypot(of.adc_noise_floor / step, inl), 0.59, 0.02);
  }
}

}  // namespace
}  // namespace crosstate::crossbar
