// Compiles exported C with the compiler of the host, for tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/exporter/c_text.h"

namespace crosstate::exporter::fixtures {

/// Warnings that exported C never causes, and sanitizers that it never trips.
inline const std::string kStrict =
    "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wdouble-promotion "
    "-Werror";
inline const std::string kSanitized =
    "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all";

/// A directory for one test.
class Workshop {
 public:
  Workshop() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            ("c-" + std::string(test->name()) + "-" + std::to_string(getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Workshop() { std::filesystem::remove_all(path_); }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  void write(const SourceFile& file) const {
    std::filesystem::create_directories((path_ / file.path).parent_path());
    write_file(path_ / file.path, file.text);
  }
  /// Runs a shell command in the directory; returns what it printed, and expects success.
  std::string run(const std::string& command) const {
    const std::string line = "cd '" + path_.string() + "' && (" + command + ") > output.txt 2>&1";
    const int status = std::system(line.c_str());
    std::string output = read_file(path_ / "output.txt");
    EXPECT_EQ(status, 0) << command << '\n' << output.substr(0, 4000);
    return output;
  }
  /// Compiles all C sources of the directory to ./program and runs it.
  std::string compile_and_run(const std::string& flags = kStrict + " " + kSanitized) const {
    run("${CC:-cc} " + flags + " -I. -o program *.c");
    return HasFailure() ? "" : run("./program");
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  static bool HasFailure() { return testing::Test::HasFailure(); }
  std::filesystem::path path_;
};

}  // namespace crosstate::exporter::fixtures
