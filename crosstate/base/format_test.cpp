#include "crosstate/base/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr FileFormat kFormat("crosstate thing", 4, 2);

TEST(FileFormat, NamesKindAndVersion) {
  EXPECT_EQ(kFormat.text(), "crosstate thing 4");
  EXPECT_EQ(kFormat.find("crosstate thing 4"), 4);
  EXPECT_EQ(kFormat.find("crosstate thing 123"), 123);
  for (const char* other :
       {"", "crosstate thing", "crosstate thing ", "crosstate thing4", "crosstate thing 04",
        "crosstate thing 0", "crosstate thing -1", "crosstate thing 4 ", "crosstate thing 4a",
        "crosstate other 4", "crosstate thing 99999999999"}) {
    EXPECT_EQ(kFormat.find(other), std::nullopt) << other;
  }
}

TEST(FileFormat, ReadsFromTheOldestToTheNewestVersion) {
  for (const int version : {2, 3, 4}) {
    EXPECT_EQ(kFormat.version_of("crosstate thing " + std::to_string(version), "a"), version);
  }
  EXPECT_THAT([] { kFormat.version_of("crosstate thing 5", "a.file"); },
              ThrowsMessage<Error>("a.file: format 'crosstate thing 5', expected 'crosstate thing "
                                   "4' or a version from 2: it was written by a newer version of "
                                   "crosstate"));
  EXPECT_THAT([] { kFormat.version_of("crosstate thing 1", "a.file"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("format 'crosstate thing 1'"),
                                         HasSubstr("an older version of crosstate"))));
  EXPECT_THAT(
      [] { kFormat.version_of("crosstate network 4", "a.file"); },
      ThrowsMessage<Error>("a.file: format 'crosstate network 4', expected 'crosstate thing "
                           "4' or a version from 2"));
}

TEST(FileFormat, MayBeMissing) {
  EXPECT_THAT([] { kFormat.version_of("", "a.file"); },
              ThrowsMessage<Error>("a.file: empty format, expected 'crosstate thing 4' or a "
                                   "version from 2"));
}

TEST(FileFormat, MayHaveOneVersion) {
  constexpr FileFormat kFirst("crosstate other", 1);
  EXPECT_EQ(kFirst.version_of("crosstate other 1", "a"), 1);
  EXPECT_THAT(
      [&] { kFirst.version_of("crosstate other 2", "a"); },
      ThrowsMessage<Error>("a: format 'crosstate other 2', expected 'crosstate other 1': it "
                           "was written by a newer version of crosstate"));
}

}  // namespace
}  // namespace crosstate
