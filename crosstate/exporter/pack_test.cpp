#include "crosstate/exporter/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace crosstate::exporter {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Codes = std::vector<std::int64_t>;

TEST(Pack, UsesNoMoreBitsThanDeclared) {
  const Codes signs = {1, -1, 1, 1, -1, -1, -1, 1, 1}, ternary = {1, 0, -1, 1, 1, 0};
  EXPECT_EQ(packed_bits(1, signs), 1);
  EXPECT_EQ(packed_bits(1, ternary), 2);
  EXPECT_EQ(packed_bits(2, signs), 2);
  EXPECT_EQ(packed_bits(3, ternary), 3);
  EXPECT_EQ(packed_bits(8, ternary), 8);
}

TEST(Pack, StreamsHaveNoGaps) {
  EXPECT_THAT(in_stream(1, Codes{1, -1, 1, 1, -1, -1, -1, 1, 1}), ElementsAre(0x8d, 0x01));
  // 1 | 7 << 3 | 4 << 6
  EXPECT_THAT(in_stream(3, Codes{-3, 3, 0}), ElementsAre(0x39, 0x01));
  // 0x801 | 0x7ff << 12
  EXPECT_THAT(in_stream(12, Codes{1, -1}), ElementsAre(0x01, 0xf8, 0x7f));
  EXPECT_THAT(in_stream(5, Codes{}), IsEmpty());
}

TEST(Pack, WordsHoldTheFirstCodeLowest) {
  // 2 | 1 << 2 | 0 << 4 | 2 << 6, then 0, and the ninth code in a word of its own
  EXPECT_THAT(in_words(2, Codes{1, 0, -1, 1}), ElementsAre(0x86));
  EXPECT_THAT(in_words(2, Codes{-1, -1, -1, -1, -1, -1, -1, 1, 1}), ElementsAre(0x8000, 0x2));
  // 1 | 15 << 4 | 8 << 8 | 7 << 12
  EXPECT_THAT(in_words(4, Codes{-7, 7, 0, -1, 2}), ElementsAre(0x78f1, 0xa));
  EXPECT_THAT(in_words(4, Codes{}), IsEmpty());
}

}  // namespace
}  // namespace crosstate::exporter
