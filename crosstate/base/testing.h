// Shared by the tests of several folders.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "crosstate/base/files.h"

namespace crosstate {

/// A test with its own directory, empty at the start and removed at the end.
class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~DirectoryTest() override { std::filesystem::remove_all(directory_); }

  /// Writes a file into the directory and returns its path.
  std::string file(const std::string& name, const std::string& content) const {
    write_file(directory_ / name, content);
    return (directory_ / name).string();
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()) + '-' +
       std::to_string(getpid()));
};

}  // namespace crosstate
