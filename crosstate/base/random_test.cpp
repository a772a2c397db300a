#include "crosstate/base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

namespace crosstate {
namespace {

using Words = std::array<std::uint32_t, 4>;

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(0xffffffffffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, DrawIsAWordOfItsAddress) {
  Random random(7, Stream::kRead, 11, 13);
  for (std::uint32_t i = 0; i < 12; ++i) {
    const Words block = philox(7, i / 4, 13, 11, static_cast<std::uint32_t>(Stream::kRead));
    EXPECT_EQ(random.bits(), block[i % 4]);
  }
}

TEST(Random, EveryPartOfTheAddressMatters) {
  const std::set<std::uint32_t> first = {
      Random(1, Stream::kTest, 2, 3).bits(),         Random(2, Stream::kTest, 2, 3).bits(),
      Random(1, Stream::kRead, 2, 3).bits(),         Random(1, Stream::kTest, 3, 2).bits(),
      Random(1, Stream::kTest, 2, 4).bits(),         Random(1, Stream::kTest, 4, 3).bits(),
      Random(1ull << 32, Stream::kTest, 2, 3).bits()};
  EXPECT_EQ(first.size(), 7u);
}

TEST(Random, SameAddressRepeats) {
  Random one(5, Stream::kInit, 1), two(5, Stream::kInit, 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.normal(), two.normal());
}

// Compares counts with a uniform expectation; the limit is six standard deviations of chi-square.
void expect_uniform(const std::vector<int>& counts, int draws) {
  const double expected = draws / static_cast<double>(counts.size());
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - expected, 2) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  EXPECT_LT(chi_square, freedom + 6 * std::sqrt(2 * freedom));
}

TEST(Random, UniformIsOpenAndFlat) {
  Random random(1, Stream::kTest);
  std::vector<int> counts(64, 0);
  const int draws = 200'000;
  for (int i = 0; i < draws; ++i) {
    const double value = random.uniform();
    ASSERT_GT(value, 0);
    ASSERT_LT(value, 1);
    ++counts[static_cast<std::size_t>(value * 64)];
  }
  expect_uniform(counts, draws);
}

TEST(Random, UniformBetweenBounds) {
  Random random(1, Stream::kTest);
  for (int i = 0; i < 1000; ++i) {
    const double value = random.uniform(-3, -2);
    EXPECT_GT(value, -3);
    EXPECT_LT(value, -2);
  }
}

TEST(Random, NormalMomentsAndTails) {
  Random random(3, Stream::kTest);
  const int draws = 400'000;
  double sum = 0, squares = 0, cubes = 0, fourths = 0;
  int beyond_two = 0;
  for (int i = 0; i < draws; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
    cubes += value * value * value;
    fourths += value * value * value * value;
    beyond_two += std::abs(value) > 2;
  }
  // Five standard errors each: the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96.
  const double error = 5 / std::sqrt(draws);
  EXPECT_NEAR(sum / draws, 0, error);
  EXPECT_NEAR(squares / draws, 1, error * std::sqrt(2));
  EXPECT_NEAR(cubes / draws, 0, error * std::sqrt(15));
  EXPECT_NEAR(fourths / draws, 3, error * std::sqrt(96));
  EXPECT_NEAR(beyond_two / static_cast<double>(draws), std::erfc(std::sqrt(2.0)), error * 0.21);
}

TEST(Random, BelowIsFlat) {
  for (const std::uint32_t bound : {2u, 3u, 10u, 97u}) {
    Random random(4, Stream::kTest, bound);
    std::vector<int> counts(bound, 0);
    const int draws = 100'000;
    for (int i = 0; i < draws; ++i) ++counts.at(random.below(bound));
    expect_uniform(counts, draws);
  }
}

TEST(Random, BelowAtTheEndsOfItsRange) {
  Random random(4, Stream::kTest);
  EXPECT_EQ(random.below(1), 0u);
  // A bound just above 2^31 rejects almost half of all words; simple scaling would be visibly
  // biased.
  const std::uint32_t bound = 0x80000001;
  int upper_half = 0;
  const int draws = 40'000;
  for (int i = 0; i < draws; ++i) upper_half += random.below(bound) >= bound / 2;
  EXPECT_NEAR(upper_half / static_cast<double>(draws), 0.5, 5 * 0.5 / std::sqrt(draws));
}

}  // namespace
}  // namespace crosstate
