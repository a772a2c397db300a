#include "crosstate/train/schedule.h"

#include <gtest/gtest.h>

namespace crosstate::train {
namespace {

TEST(Schedule, RisesLinearlyThenFallsAlongACosine) {
  const Schedule schedule{.steps = 12, .warmup = 4, .final_share = 0.2};
  EXPECT_DOUBLE_EQ(schedule.share(0), 0.25);
  EXPECT_DOUBLE_EQ(schedule.share(1), 0.5);
  EXPECT_DOUBLE_EQ(schedule.share(3), 1);
  EXPECT_DOUBLE_EQ(schedule.share(4), 1);
  EXPECT_NEAR(schedule.share(6), 0.2 + 0.8 * 0.8535533905932737, 1e-12);  // cos(pi / 4)
  EXPECT_NEAR(schedule.share(8), 0.6, 1e-12);
  EXPECT_NEAR(schedule.share(10), 0.2 + 0.8 * 0.1464466094067262, 1e-12);
  EXPECT_DOUBLE_EQ(schedule.share(12), 0.2);
  EXPECT_DOUBLE_EQ(schedule.share(1000), 0.2);
}

TEST(Schedule, NeverStandsStillWithinTheStage) {
  for (std::uint64_t steps : {1u, 2u, 3u, 10u}) {
    for (std::uint64_t warmup : {0u, 1u, 5u, 100u}) {
      const Schedule schedule{.steps = steps, .warmup = warmup, .final_share = 0};
      double peak = 0;
      for (std::uint64_t step = 0; step < steps; ++step) {
        EXPECT_GT(schedule.share(step), 0);
        peak = std::max(peak, schedule.share(step));
      }
      EXPECT_DOUBLE_EQ(peak, 1);
    }
  }
}

}  // namespace
}  // namespace crosstate::train
