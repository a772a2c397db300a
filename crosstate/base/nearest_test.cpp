#include "crosstate/base/nearest.h"

#include <gtest/gtest.h>

namespace crosstate {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "pcm"), 3u);
  EXPECT_EQ(edit_distance("pcm", "pcm"), 0u);
  EXPECT_EQ(edit_distance("hermse", "hermes"), 2u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, PrefersWhatAnAbbreviationMayMean) {
  const std::vector<std::string> names = {"pcm", "hermes", "generic-64x64", "taox-64x64"};
  EXPECT_EQ(nearest_name("taox", names), "taox-64x64");
  EXPECT_EQ(nearest_name("hermse", names), "hermes");
  EXPECT_EQ(nearest_name("pmc", names), "pcm");
  EXPECT_EQ(nearest_name("64x64", names), "generic-64x64");
  EXPECT_EQ(name_distance("pcm", "pcm"), 0u);
  EXPECT_LT(name_distance("lr", "learning_rate"), kUnlike);
  EXPECT_LT(name_distance("chan", "channels"), name_distance("chls", "channels"));
  EXPECT_GE(name_distance("lr", "low"), kUnlike);
}

}  // namespace
}  // namespace crosstate
