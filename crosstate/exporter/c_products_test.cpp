#include "crosstate/exporter/c_products.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace crosstate::exporter {
namespace {

using testing::HasSubstr;
using testing::Not;

Weights bytes() {
  Weights w;
  w.data = {"b->value", "int8_t", true, false};
  w.type = "int8_t";
  return w;
}

RowValues sixteen_bits(std::size_t count, std::int64_t largest) {
  return {"a", "int16_t", std::to_string(count) + "u", count, largest};
}

TEST(ProductWriter, ArrangesValuesOf16BitsWhereHighSumsFit) {
  EXPECT_TRUE(ProductWriter::arranges(bytes(), sixteen_bits(36, 244), true));
  // 256 times the sum of 18 products of 128 with more would exceed 32 bits.
  EXPECT_TRUE(ProductWriter::arranges(bytes(), sixteen_bits(36, 3640), true));
  EXPECT_FALSE(ProductWriter::arranges(bytes(), sixteen_bits(36, 3641), true));
  EXPECT_FALSE(ProductWriter::arranges(bytes(), sixteen_bits(36, 244), false));
  EXPECT_FALSE(ProductWriter::arranges(bytes(), {"a", "int8_t", "36u", 36, 127}, true));
  Weights words = bytes();
  words.storage = Storage::kWords;
  EXPECT_FALSE(ProductWriter::arranges(words, sixteen_bits(36, 244), true));
}

TEST(ProductWriter, AddsTwoRowsAtOnceWhereTheirValuesAreShared) {
  ProductWriter writer;
  RowValues values = sixteen_bits(36, 244);
  EXPECT_EQ(writer.both(bytes(), bytes(), values, true), "");
  values.arranged = true;
  EXPECT_EQ(writer.both(bytes(), bytes(), values, true), "dot_both");
  EXPECT_EQ(writer.both(bytes(), bytes(), values, false), "");
  EXPECT_THAT(writer.arrange(values), HasSubstr("arrange(a, 36u);"));
  const std::string text = writer.functions();
  EXPECT_THAT(text, HasSubstr("static void dot_both(int32_t sums[2]"));
  EXPECT_THAT(text, HasSubstr("static void arrange("));
}

TEST(ProductWriter, KeepsTheOrderOfValuesThatAreNotArranged) {
  ProductWriter writer;
  RowValues values = sixteen_bits(36, 244);
  const std::string plain = writer.rows(bytes(), "value", "h", values, true).function;
  values.arranged = true;
  EXPECT_NE(writer.rows(bytes(), "value", "h", values, true).function, plain);
  ProductWriter only_plain;
  values.arranged = false;
  only_plain.rows(bytes(), "value", "h", values, true);
  EXPECT_THAT(only_plain.functions(), Not(HasSubstr("HIGH(")));
}

}  // namespace
}  // namespace crosstate::exporter
