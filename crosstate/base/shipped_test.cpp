#include "crosstate/base/shipped.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

constexpr const char* kVariable = "CROSSTATE_DATA_DIR";

class Shipped : public DirectoryTest {
 protected:
  Shipped() {
    const char* const value = std::getenv(kVariable);
    if (value != nullptr) before_ = value;
    unsetenv(kVariable);
  }
  ~Shipped() override {
    if (before_) {
      setenv(kVariable, before_->c_str(), 1);
    } else {
      unsetenv(kVariable);
    }
  }

 private:
  std::optional<std::string> before_;
};

TEST_F(Shipped, IsWhereTheLibraryWasInstalledOrBuilt) {
  EXPECT_TRUE(fs::is_directory(shipped("targets")));
  EXPECT_TRUE(fs::is_regular_file(shipped("targets/ideal.toml")));
  EXPECT_TRUE(fs::is_directory(shipped("technology")));
  EXPECT_TRUE(fs::is_directory(shipped("mnist-sample")));
  setenv(kVariable, "", 1);  // the same as unset
  EXPECT_TRUE(fs::is_directory(shipped("targets")));
}

TEST_F(Shipped, IsInTheDirectoryOfTheEnvironmentAlone) {
  setenv(kVariable, directory_.c_str(), 1);
  file("mine.toml", "");
  EXPECT_EQ(shipped("mine.toml"), directory_ / "mine.toml");
  // A file that is missing there is not searched elsewhere: the reader reports that it is missing.
  EXPECT_EQ(shipped("targets"), directory_ / "targets");
}

TEST_F(Shipped, IsFirstSearchedInTheDirectoryOfACopyOfTheLibrary) {
  file("mine.toml", "");
  search_shipped_in(directory_);
  EXPECT_EQ(shipped("mine.toml"), directory_ / "mine.toml");
  EXPECT_TRUE(fs::is_directory(shipped("targets")));  // as before
  search_shipped_in({});
  EXPECT_THROW(shipped("mine.toml"), Error);
}

TEST_F(Shipped, SaysWhereItLooked) {
  EXPECT_THAT([] { shipped("no-such-data"); },
              ThrowsMessage<Error>(AllOf(StartsWith("no-such-data: not found in /"),
                                         HasSubstr("no-such-data; set CROSSTATE_DATA_DIR"))));
}

}  // namespace
}  // namespace crosstate
