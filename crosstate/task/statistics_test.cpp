#include "crosstate/task/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/random.h"

namespace crosstate::task {
namespace {

// Newcombe, Statistics in Medicine 17, 857-872, 1998, table I, method 3.
TEST(Wilson, GivesPublishedIntervals) {
  struct Published {
    double right, count, low, high;
  };
  for (const Published& p : {Published{81, 263, 0.2553, 0.3662}, Published{15, 148, 0.0624, 0.1605},
                             Published{0, 20, 0.0000, 0.1611}, Published{1, 29, 0.0061, 0.1718}}) {
    const Interval found = wilson(p.right, p.count);
    EXPECT_NEAR(found.low, p.low, 5e-5) << p.right;
    EXPECT_NEAR(found.high, p.high, 5e-5) << p.right;
    const Interval wrong = wilson(p.count - p.right, p.count);
    EXPECT_NEAR(wrong.low, 1 - found.high, 1e-12);
    EXPECT_NEAR(wrong.high, 1 - found.low, 1e-12);
  }
}

TEST(Wilson, StaysWithinShares) {
  for (const double count : {1.0, 7.0, 300.0, 10000.0}) {
    EXPECT_EQ(wilson(0, count).low, 0);
    EXPECT_EQ(wilson(count, count).high, 1);
    EXPECT_LT(wilson(count, count).low, 1);
  }
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Wilson, IsWrittenInPercent) { EXPECT_EQ(wilson(6, 8).text(), "40.93 to 92.85"); }

// Averaged over the shares, 95 % of the intervals contain the share that decides the draws.
TEST(Wilson, CoversWhatItSays) {
  constexpr int kShares = 400, kCount = 60;
  int covered = 0;
  for (int i = 0; i < kShares; ++i) {
    Random random(3, Stream::kTest, static_cast<std::uint32_t>(i));
    const double share = (i + 0.5) / kShares;
    int right = 0;
    for (int k = 0; k < kCount; ++k) right += random.uniform() < share ? 1 : 0;
    const Interval found = wilson(right, kCount);
    covered += found.low <= share && share <= found.high ? 1 : 0;
  }
  EXPECT_NEAR(covered / double{kShares}, 0.95, 4 * std::sqrt(0.95 * 0.05 / kShares));
}

double p_value(std::uint64_t only_first, std::uint64_t only_second) {
  PairedDecisions decisions{.both = 9, .only_first = only_first, .only_second = only_second};
  return decisions.p_value();
}

TEST(PairedDecisions, HavePublishedProbabilities) {
  // Agresti, Categorical Data Analysis, 1990, p. 350: 86 and 150 changed their minds; the exact
  // value is that of the R package exact2x2.
  EXPECT_NEAR(p_value(86, 150), 3.716e-5, 5e-9);
  EXPECT_NEAR(p_value(150, 86), 3.716e-5, 5e-9);
  EXPECT_NEAR(p_value(59, 121), 4.434e-6, 5e-10);
  EXPECT_NEAR(p_value(0, 5), 0.0625, 1e-15);
  EXPECT_NEAR(p_value(3, 4), 1, 1e-12);
  EXPECT_EQ(p_value(5, 5), 1);
  EXPECT_EQ(p_value(0, 0), 1);
}

TEST(PairedDecisions, HaveProbabilitiesForManySequences) {
  EXPECT_NEAR(std::log2(p_value(0, 1000)), -999, 1e-9);
  EXPECT_EQ(p_value(0, 2000), 0);  // below the smallest number
  // The normal distribution with continuity correction.
  const double z = (100 - 1) / std::sqrt(20100.0);
  EXPECT_NEAR(p_value(10000, 10100), std::erfc(z / std::sqrt(2.0)), 1e-4);
}

TEST(PairedDecisions, CountEveryPair) {
  PairedDecisions decisions;
  for (const bool first : {false, true}) {
    for (const bool second : {false, true}) {
      for (int i = 0; i < 1 + 2 * first + second; ++i) decisions.add(first, second);
    }
  }
  EXPECT_EQ(decisions.neither, 1u);
  EXPECT_EQ(decisions.only_second, 2u);
  EXPECT_EQ(decisions.only_first, 3u);
  EXPECT_EQ(decisions.both, 4u);
}

}  // namespace
}  // namespace crosstate::task
