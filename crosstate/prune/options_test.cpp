#include "crosstate/prune/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::prune {
namespace {

TEST(PruneOptions, PointsPairTheShares) {
  PruneOptions options;
  options.states = "0.2 0.4, 0.6";
  options.channels = "0.3";
  const std::vector<PruneShares> points = prune_points(options);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[1].states, 0.4);
  EXPECT_EQ(points[2].channels, 0.3);
}

TEST(PruneOptions, SharesOutOfRangeAreRefused) {
  for (const char* text :
       {"1", "-0.1", "1.5", "0.6 0.2", "", "half", "0.5x", "nan", "0.1 0.2 0.3"}) {
    SCOPED_TRACE(text);
    PruneOptions options;
    options.channels = "0 0.3";
    options.states = text;
    EXPECT_THROW(validate(options), Error);
  }
  PruneOptions options;
  options.states = "2";
  try {
    validate(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("prune.states = \"2\""));
  }
}

TEST(PruneOptions, RepeatedPointsAreRefused) {
  PruneOptions options;
  options.states = "0.5 0.5";
  options.channels = "0.2 0.4";
  EXPECT_EQ(prune_points(options).size(), 2u);
  for (const char* channels : {"0", "0.2 0.2"}) {
    options.channels = channels;
    EXPECT_THAT([&] { validate(options); },
                testing::ThrowsMessage<Error>(testing::AllOf(
                    testing::HasSubstr("prune.states = \"0.5 0.5\""),
                    testing::HasSubstr("0.5 of the states"), testing::HasSubstr("twice"))));
  }
}

TEST(PruneOptions, GradualSchedulesEndWhereTheyShould) {
  PruneOptions options;
  EXPECT_EQ(prune_schedule(options, {0.6, 0.3}).size(), 1u);
  options.schedule = PruneSchedule::kGradual;
  options.steps = 4;
  const std::vector<PruneShares> way = prune_schedule(options, {0.6, 0.3});
  ASSERT_EQ(way.size(), 4u);
  EXPECT_DOUBLE_EQ(way[0].states, 0.6 * (1 - 27.0 / 64));
  EXPECT_LT(way[2].channels, way[3].channels);
  EXPECT_DOUBLE_EQ(way[3].states, 0.6);
  EXPECT_DOUBLE_EQ(way[3].channels, 0.3);
}

}  // namespace
}  // namespace crosstate::prune
