#include "crosstate/exporter/c_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/exporter/c_tables.h"
#include "crosstate/exporter/pack.h"

namespace crosstate::exporter {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST(Pack, UsesNoMoreBitsThanDeclared) {
  const std::vector<std::int64_t> signs = {1, -1, 1, 1, -1, -1, -1, 1, 1},
                                  ternary = {1, 0, -1, 1, 1, 0}, bits = {-3, 3, 0};
  EXPECT_EQ(packing_of(1, signs), Packing::kSigns);
  EXPECT_EQ(packing_of(1, ternary), Packing::kTernary);
  EXPECT_EQ(packing_of(2, signs), Packing::kTernary);
  EXPECT_EQ(packing_of(3, bits), Packing::kBits);
  EXPECT_EQ(packing_of(8, bits), Packing::kPlain);
  EXPECT_THAT(packed(Packing::kSigns, 1, signs), ElementsAre(0x8d, 0x01));
  // 1 | 7 << 3 | 4 << 6
  EXPECT_THAT(packed(Packing::kBits, 3, bits), ElementsAre(0x39, 0x01));
  // Digits 2 1 0 2 2 and 1 0 0 0 0.
  EXPECT_THAT(packed(Packing::kTernary, 2, ternary),
              ElementsAre((197 * 256 + 242) / 243, (81 * 256 + 242) / 243));
}

TEST(Tables, KeepsOnlyWhatDiffers) {
  Tables tables(2, "b");
  EXPECT_EQ(tables.table("same", {{7, 7}, {7, 7, 7}}).text, "7");
  EXPECT_EQ(tables.table("by_block", {{1, 1}, {2}}).at("i"), "b->by_block");
  EXPECT_EQ(tables.table("by_index", {{1, 2}, {3, 300}}).at("i"), "b->by_index[i]");
  EXPECT_EQ(tables.members(), "  uint8_t by_block;\n  const uint16_t *by_index;\n");
  EXPECT_EQ(tables.initialiser(1), "{2, by_index_1}");
  EXPECT_THAT(tables.arrays(), HasSubstr("static const uint16_t by_index_1[2] = {\n  3, 300,\n};"));
  EXPECT_EQ(tables.bytes(), 2 + 8 + 8u);
}

}  // namespace
}  // namespace crosstate::exporter
