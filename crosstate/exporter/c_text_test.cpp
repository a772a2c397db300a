#include "crosstate/exporter/c_text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate::exporter {
namespace {

TEST(CText, ChoosesTheSmallestType) {
  EXPECT_STREQ(smallest_type(-128, 127).name, "int8_t");
  EXPECT_STREQ(smallest_type(0, 255).name, "uint8_t");
  EXPECT_STREQ(smallest_type(-1, 255).name, "int16_t");
  EXPECT_STREQ(smallest_type(0, 65535).name, "uint16_t");
  EXPECT_STREQ(smallest_type(0, 65536).name, "int32_t");
  EXPECT_STREQ(smallest_type(-1, std::int64_t{1} << 31).name, "int64_t");
}

TEST(CText, WritesEveryConstant) {
  EXPECT_EQ(c_number(-5), "-5");
  EXPECT_EQ(c_number(2147483647), "2147483647");
  EXPECT_EQ(c_number(2147483648), "INT64_C(2147483648)");
  EXPECT_EQ(c_number(-2147483648), "(-INT32_MAX - 1)");
  EXPECT_EQ(c_number(std::numeric_limits<std::int64_t>::min()), "(-INT64_MAX - 1)");
  EXPECT_EQ(c_string("a\"b\\\n\xC3\xA9?"), "\"a\\\"b\\\\\\012\\303\\251\\?\"");
  EXPECT_EQ(c_array("int8_t", "a", std::vector<std::int64_t>{}),
            "static const int8_t a[1] = {\n  0,\n};\n");
}

TEST(CText, MakesPrefixes) {
  EXPECT_EQ(c_prefix("KWS 8-bit (v2)"), "kws_8_bit_v2");
  EXPECT_EQ(c_prefix("2nd"), "model_2nd");
  EXPECT_EQ(c_prefix("\xC3\xA9"), "model");
  EXPECT_EQ(c_prefix("int"), "model_int");
  EXPECT_EQ(c_prefix("String"), "model_string");  // string.h would be that of the network
  EXPECT_EQ(c_prefix("test"), "model_test");      // a target of CMake
  EXPECT_NO_THROW(require_prefix("kws_8", "export.name"));
  for (const char* name : {"Kws", "8x", "a-b", "a__b", "if", "_a", "stdint"}) {
    EXPECT_THROW(require_prefix(name, "export.name"), Error) << name;
  }
  EXPECT_EQ(fill("%n%_step %N%_INPUTS", "kws"), "kws_step KWS_INPUTS");
}

}  // namespace
}  // namespace crosstate::exporter
