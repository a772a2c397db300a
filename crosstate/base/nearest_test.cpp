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

}  // namespace
}  // namespace crosstate
