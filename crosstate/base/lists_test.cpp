#include "crosstate/base/lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace crosstate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Lists, AreSplitAtSpacesOrAtCommas) {
  EXPECT_THAT(split_list(""), IsEmpty());
  EXPECT_THAT(split_list("  "), IsEmpty());
  EXPECT_THAT(split_list(" yes  no "), ElementsAre("yes", "no"));
  EXPECT_THAT(split_list("not yes, no,,maybe ,"), ElementsAre("not yes", "no", "maybe"));
  EXPECT_THAT(split_list("a b"), ElementsAre("a", "b"));
  EXPECT_THAT(split_list("a b,"), ElementsAre("a b"));
}

TEST(Lists, AreShortenedInMessages) {
  const std::vector<std::string> names{"b", "a", "c\n"};
  EXPECT_EQ(listing(names), "b, a, c?");
  EXPECT_EQ(listing(names, 3), "b, a, c?");
  EXPECT_EQ(listing(names, 2), "b, a, ... (3 in all)");
  EXPECT_EQ(listing(std::set<std::string>{"b", "a"}), "a, b");
  EXPECT_EQ(listing(std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace crosstate
