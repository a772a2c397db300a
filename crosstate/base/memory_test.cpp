#include "crosstate/base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"

namespace crosstate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Optional;
using testing::ThrowsMessage;

class AvailableMemory : public DirectoryTest {
 protected:
  void machine(const std::string& available) const {
    put("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:   " + available + " kB\n");
  }
  void put(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((directory_ / name).parent_path());
    write_file(directory_ / name, content);
  }
};

TEST_F(AvailableMemory, IsThatOfTheMachine) {
  machine("1000");
  EXPECT_THAT(available_memory(directory_), Optional(1024e3));
}

TEST_F(AvailableMemory, IsLimitedByTheNarrowestGroup) {
  machine("1000");
  put("proc/self/cgroup", "1:cpu:/elsewhere\n0::/user/run\n");
  put("sys/fs/cgroup/user/run/memory.max", "max\n");
  put("sys/fs/cgroup/user/memory.max", "500000\n");
  put("sys/fs/cgroup/user/memory.stat", "file 400000\nanon 100000\n");
  EXPECT_THAT(available_memory(directory_), Optional(400000.0));
}

TEST_F(AvailableMemory, IsZeroInAFullGroup) {
  machine("1000");
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/memory.max", "1000\n");
  put("sys/fs/cgroup/memory.stat", "anon 2000\n");
  EXPECT_THAT(available_memory(directory_), Optional(0.0));
}

TEST_F(AvailableMemory, IsUnknownWithoutTheFilesOfLinux) {
  EXPECT_EQ(available_memory(directory_), std::nullopt);
}

TEST_F(AvailableMemory, RefusesWhatDoesNotFit) {
  if (!available_memory()) GTEST_SKIP() << "the system does not tell its memory";
  EXPECT_NO_THROW(require_memory("data", 1e3, "a batch"));
  EXPECT_THAT([] { require_memory("data", 1e18, "a batch", "; take less"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("data: a batch needs 1e+09 GB of memory, but "),
                                         HasSubstr(" are available; take less"))));
}

}  // namespace
}  // namespace crosstate
