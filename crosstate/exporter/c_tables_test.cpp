#include "crosstate/exporter/c_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace crosstate::exporter {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

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

TEST(Tables, ConstantsOfOneKindHaveNoStructure) {
  Tables tables(1, "");
  EXPECT_EQ(tables.table("bias", {{1, -2}}).at("k"), "bias[k]");
  EXPECT_EQ(tables.members(), "");
  EXPECT_EQ(tables.bytes(), 2u);
}

TEST(Tables, BytesAndWordsOfTwoSizesArePlain) {
  Tables tables(2, "b");
  const Weights bytes = tables.weights("w", {{1, -100}, {0, 3}}, {8, 8}, {});
  EXPECT_EQ(bytes.storage, Storage::kPlain);
  EXPECT_EQ(bytes.type, "int8_t");
  EXPECT_EQ(bytes.data.at("i"), "b->w[i]");
  const Weights wide = tables.weights("v", {{1, -100}, {0, 3}}, {16, 16}, {});
  EXPECT_EQ(wide.data.type, "int16_t");
}

TEST(Tables, TwoAndFourBitsAreRowsOfWords) {
  Tables tables(1, "");
  const Weights ternary = tables.weights("w", {{1, 0, -1, 1}}, {2}, {{2}});
  EXPECT_EQ(ternary.storage, Storage::kWords);
  EXPECT_EQ(ternary.bits, 2);
  EXPECT_EQ(ternary.data.type, "uint16_t");
  // Rows 1 0 and -1 1.
  EXPECT_THAT(tables.arrays(), HasSubstr("w[2] = {\n  6, 8,\n};"));
  EXPECT_EQ(tables.bytes(), 4u);
  // Rows of two lengths.
  const Weights nibbles = tables.weights("v", {{7, -7, 0}}, {4}, {{1, 2}});
  EXPECT_EQ(nibbles.bits, 4);
  EXPECT_THAT(tables.arrays(), HasSubstr("v[2] = {\n  15, 129,\n};"));
}

TEST(Tables, OtherBitsAreStreams) {
  Tables tables(2, "b");
  const Weights three = tables.weights("w", {{3, -3, 0}, {1, 1, 1}}, {3, 3}, {{3}, {3}});
  EXPECT_EQ(three.storage, Storage::kStream);
  EXPECT_EQ(three.width.text, "3");
  EXPECT_EQ(three.data.type, "uint8_t");
  // Bits that differ between blocks.
  const Weights mixed = tables.weights("v", {{1, -1}, {7, 7}}, {1, 4}, {{2}, {2}});
  EXPECT_EQ(mixed.storage, Storage::kStream);
  EXPECT_EQ(mixed.width.text, "b->v_bits");
  EXPECT_THAT(mixed.widths, ElementsAre(1, 4));
}

}  // namespace
}  // namespace crosstate::exporter
