#include "crosstate/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crosstate {
namespace {

TEST(Error, FailNamesThePlaceAndTheProblem) {
  EXPECT_THAT([] { fail("labels.idx", "magic 0x0803, expected 0x0801"); },
              testing::ThrowsMessage<Error>("labels.idx: magic 0x0803, expected 0x0801"));
}

TEST(Error, ExcerptsAreOneShortLine) {
  EXPECT_EQ(excerpt("model.channels"), "model.channels");
  EXPECT_EQ(excerpt("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(excerpt("\xc3\xa4"), "\xc3\xa4");
  EXPECT_EQ(excerpt(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(excerpt(std::string(81, 'x')), std::string(80, 'x') + "...");
}

TEST(Error, IsAStandardException) { EXPECT_THROW(fail("a", "b"), std::runtime_error); }

}  // namespace
}  // namespace crosstate
