#include "crosstate/exporter/c_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

TEST(SensorScale, IsFoundForEverySensor) {
  for (const double steps : {1e-6, 0.3, 1.0, 256.0 / 255, 77.7, 1e8}) {
    const SensorScale s = sensor_scale(steps);
    EXPECT_NEAR(std::ldexp(static_cast<double>(s.factor), -s.shift) / steps, 1, 1e-6) << steps;
    EXPECT_LT(s.factor, std::int64_t{1} << 31);
  }
  for (const double steps : {1e12, 1e-25}) {
    EXPECT_THAT([&] { sensor_scale(steps); },
                ThrowsMessage<Error>(HasSubstr("export.unit: makes one step of the sensor")));
  }
  for (const double steps : {0.0, -1.0, std::nan("")}) {
    EXPECT_THAT([&] { sensor_scale(steps); },
                ThrowsMessage<Error>(HasSubstr("export.unit: is not a positive number")));
  }
}

TEST(SensorFunction, NeedsAUnit) {
  const integer::IntegerNetwork n = integer::fixtures::RandomNetwork(11).make();
  CNetworkOptions options;
  EXPECT_EQ(sensor_function(NetworkWriter(n, options)), "");
  options.unit = n.input.scale;  // one code per step
  const std::string text = sensor_function(NetworkWriter(n, options));
  EXPECT_THAT(text, HasSubstr("int32_t %n%_code(int32_t value)"));
  EXPECT_THAT(text, HasSubstr("%N%_INPUT_MIN, %N%_INPUT_MAX"));
  options.unit = 1e-40;
  EXPECT_THAT([&] { sensor_function(NetworkWriter(n, options)); },
              ThrowsMessage<Error>(HasSubstr("export.unit")));
}

TEST(FloatFunctions, AreCompiledOnDemandAndUndoTheScaleOfValues) {
  const integer::IntegerNetwork n = integer::fixtures::RandomNetwork(11).make();
  CNetworkOptions options;
  const std::string plain = float_functions(NetworkWriter(n, options));
  EXPECT_EQ(plain.find("#ifdef %N%_WITH_FLOAT\n"), 0u);
  EXPECT_TRUE(plain.ends_with("#endif\n"));
  EXPECT_THAT(plain, Not(HasSubstr("out[0] = (float)(")));
  options.offset = {0.25};
  options.scale = {3};
  EXPECT_THAT(float_functions(NetworkWriter(n, options)),
              HasSubstr("out[0] = (float)(0x1p-2 + 0x1.8p+1 * (double)out[0]);"));
}

TEST(FloatFunctions, HaveConstantsOfC) {
  const integer::IntegerNetwork n = integer::fixtures::RandomNetwork(11).make();
  CNetworkOptions options;
  for (const double value : {0.1, -0.1, 1.0, -3.75, 0.0, 1e300, 1e-300}) {
    options.offset = {value};
    options.scale = {3};
    char digits[64];
    std::snprintf(digits, sizeof digits, "%a", value);
    const std::string text = std::string("out[0] = (float)(") + digits + " + 0x1.8p+1 * ";
    EXPECT_THAT(float_functions(NetworkWriter(n, options)), HasSubstr(text));
    const DecimalComma locale;
    EXPECT_THAT(float_functions(NetworkWriter(n, options)), HasSubstr(text));
  }
}

}  // namespace
}  // namespace crosstate::exporter
