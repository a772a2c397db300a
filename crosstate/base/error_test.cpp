#include "crosstate/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crosstate {
namespace {

TEST(Error, FailNamesThePlaceAndTheProblem) {
  EXPECT_THAT([] { fail("labels.idx", "magic 0x0803, expected 0x0801"); },
              testing::ThrowsMessage<Error>("labels.idx: magic 0x0803, expected 0x0801"));
}

TEST(Error, IsAStandardException) { EXPECT_THROW(fail("a", "b"), std::runtime_error); }

}  // namespace
}  // namespace crosstate
