#include "crosstate/search/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"

namespace crosstate::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Pareto, KeepsWhatNothingBeats) {
  EXPECT_THAT(pareto_front({{1, 5}, {2, 4}, {2, 5}, {3, 4}, {0, 9}}), ElementsAre(0, 1, 4));
  EXPECT_THAT(pareto_front({}), IsEmpty());
  EXPECT_THAT(pareto_front({{1, 1}, {1, 1}, {1, 2}}), ElementsAre(0, 1));
  EXPECT_THAT(pareto_front({{3, 1, 1}, {1, 3, 1}, {1, 1, 3}, {3, 3, 3}}), ElementsAre(0, 1, 2));
}

TEST(Pareto, LeavesOutGaps) {
  EXPECT_THAT(pareto_front({{1, NAN}, {2, 2}, {NAN, 1}}), ElementsAre(1));
  EXPECT_TRUE(dominates({1, 1}, {1, NAN}));
  EXPECT_FALSE(dominates({1, NAN}, {1, 1}));
}

TEST(Pareto, AgreesWithItsDefinitionOnRandomRows) {
  Random random(7, Stream::kTest);
  std::vector<std::vector<double>> rows;
  for (int i = 0; i < 97; ++i) {
    rows.push_back({static_cast<double>(random.below(9)), static_cast<double>(random.below(9)),
                    static_cast<double>(random.below(9))});
  }
  std::vector<bool> kept(rows.size());
  for (const std::size_t i : pareto_front(rows)) kept[i] = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    bool beaten = false;
    for (const auto& other : rows) {
      const bool no_worse =
          other[0] <= rows[i][0] && other[1] <= rows[i][1] && other[2] <= rows[i][2];
      beaten = beaten || (no_worse && other != rows[i]);
    }
    EXPECT_EQ(kept[i], !beaten) << i;
  }
}

TEST(Pareto, ReadsObjectives) {
  const std::vector<Objective> two = parse_objectives("min bytes, max  accuracy");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].column, "bytes");
  EXPECT_FALSE(two[0].maximise);
  EXPECT_TRUE(two[1].maximise);
  EXPECT_EQ(parse_objectives("min bytes,max accuracy,min parameters").size(), 3u);
  EXPECT_EQ(objectives_of(kObjectives, task::regression()), "min bytes, max r2");
  EXPECT_EQ(objectives_of("min bytes, min mae", task::regression()), "min bytes, min mae");
  EXPECT_EQ(parse_objectives("min bytes, max r2").size(), 2u);
  EXPECT_THROW(
      parse_objectives("min bytes, max r2", "sweep.objectives", "options", &task::classification()),
      Error);
  for (const char* bad : {"", "bytes", "min bytes", "least bytes, max accuracy",
                          "min bites, max accuracy", "min bytes max accuracy", "min bytes,"}) {
    EXPECT_THROW(parse_objectives(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace crosstate::search
