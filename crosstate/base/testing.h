// Shared by the tests of several folders.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <clocale>
#include <filesystem>
#include <locale>
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

/// While it exists, the process has a locale with a decimal comma, as a host program may set it:
/// for streams, and for printf() and strtod() if the system has such a locale.
class DecimalComma {
 public:
  DecimalComma()
      : numbers_(std::setlocale(LC_NUMERIC, nullptr)),
        streams_(std::locale::global(std::locale(std::locale::classic(), new Comma))) {
    for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"}) {
      if (std::setlocale(LC_NUMERIC, name) != nullptr) break;
    }
  }
  ~DecimalComma() {
    std::locale::global(streams_);
    std::setlocale(LC_NUMERIC, numbers_.c_str());
  }
  DecimalComma(const DecimalComma&) = delete;
  DecimalComma& operator=(const DecimalComma&) = delete;

 private:
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  std::string numbers_;
  std::locale streams_;
};

}  // namespace crosstate
