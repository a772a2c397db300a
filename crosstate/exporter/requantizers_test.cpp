#include "crosstate/exporter/requantizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace crosstate::exporter {
namespace {

using testing::ElementsAre;

integer::Requantizer requantizer(std::vector<std::int32_t> first, std::vector<std::int32_t> second,
                                 std::vector<std::int32_t> shift) {
  integer::Requantizer r;
  r.first.assign(first.begin(), first.end());
  r.second.assign(second.begin(), second.end());
  r.shift.assign(shift.begin(), shift.end());
  return r;
}

RequantizerPlan plan(const integer::Requantizer& r, std::int64_t first, std::int64_t second = 0) {
  return plan_requantizers({{&r, 0, r.first.size()}}, [&](std::size_t, std::size_t) {
    return SumBounds{first, second};
  });
}

TEST(Requantizers, PowersOfTwoAreShifts) {
  const RequantizerPlan p = plan(requantizer({1 << 20, 1 << 19}, {}, {24, 24}), 10000);
  EXPECT_TRUE(p.in_32_bits);
  EXPECT_FALSE(p.two);
  EXPECT_THAT(p.first[0], ElementsAre(1, 1));
  EXPECT_THAT(p.shift[0], ElementsAre(4, 5));
}

// Sums that need 64 bits, with factors that are powers of two: a shift is cheaper than a product.
TEST(Requantizers, ShiftsOfWideSumsStay) {
  const RequantizerPlan p = plan(requantizer({1, 1}, {}, {40, 41}), std::int64_t{1} << 50);
  EXPECT_FALSE(p.in_32_bits);
  EXPECT_EQ(p.places, 0);
  EXPECT_THAT(p.shift[0], ElementsAre(40, 41));
}

TEST(Requantizers, OtherFactorsShareAShiftOf32) {
  const RequantizerPlan p = plan(requantizer({5871793, 3}, {}, {24, 30}), 100000);
  EXPECT_FALSE(p.in_32_bits);
  EXPECT_EQ(p.places, 32);
  EXPECT_THAT(p.first[0], ElementsAre(std::int64_t{5871793} << 8, 12));
}

TEST(Requantizers, ShareTheLargestShiftThatFits) {
  // 3 / 2 takes 30 places at most.
  const RequantizerPlan p = plan(requantizer({3, 16777215}, {1, 0}, {1, 25}), 1000, 1000);
  EXPECT_EQ(p.places, 30);
  EXPECT_THAT(p.first[0], ElementsAre(std::int64_t{3} << 29, std::int64_t{16777215} << 5));
  EXPECT_THAT(p.second[0], ElementsAre(std::int64_t{1} << 29, 0));
}

// Sums of more than 31 bits keep the shifts of their rows.
TEST(Requantizers, WideSumsKeepTheirShifts) {
  const std::int64_t wide = std::numeric_limits<std::int32_t>::max() + std::int64_t{1};
  const RequantizerPlan p = plan(requantizer({5871793, 3}, {}, {24, 30}), wide);
  EXPECT_EQ(p.places, 0);
  EXPECT_THAT(p.shift[0], ElementsAre(24, 30));
}

TEST(Requantizers, EarlyShiftsKeepTheShiftsOfTheirRows) {
  integer::Requantizer r = requantizer({5871793}, {}, {24});
  r.early = {3};
  const RequantizerPlan p = plan(r, 1000);
  EXPECT_TRUE(p.shifts_first);
  EXPECT_FALSE(p.in_32_bits);
  EXPECT_EQ(p.places, 0);
  EXPECT_THAT(p.early[0], ElementsAre(3));
}

// Every sum has the code of the requantizer itself.
TEST(Requantizers, ReducedFactorsGiveTheSameCodes) {
  const integer::Requantizer r = requantizer({5871793, 12, 16777215}, {3, 4, 5}, {24, 5, 25});
  const RequantizerPlan p = plan(r, 1 << 14, 1 << 7);
  ASSERT_GT(p.places, 0);
  const auto shifted = [](std::int64_t sum, std::int64_t places) {
    return (sum + ((std::int64_t{1} << places) >> 1)) >> places;
  };
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::int64_t first = -(1 << 14); first <= 1 << 14; first += 37) {
      for (const std::int64_t second : {-128, -1, 0, 77}) {
        EXPECT_EQ(shifted(first * p.first[0][row] + second * p.second[0][row], p.places),
                  shifted(first * r.first[row] + second * r.second[row], r.shift[row]));
      }
    }
  }
}

}  // namespace
}  // namespace crosstate::exporter
