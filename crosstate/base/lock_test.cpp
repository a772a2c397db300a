#include "crosstate/base/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

template <int kError>
int refuse(int, int) {
  errno = kError;
  return -1;
}

class Lock : public DirectoryTest {
 protected:
  std::unique_ptr<FileLock> hold(FileLock::Flock flock = &::flock) const {
    return std::make_unique<FileLock>(path(), "results", flock);
  }
  fs::path path() const { return directory_ / "lock"; }
  fs::path owner() const { return directory_ / "lock.owner"; }

  // Starts a process that holds the lock until it is killed, and waits until it does.
  pid_t holder(FileLock::Flock flock) const {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto lock = hold(flock);
      [[maybe_unused]] const ssize_t told = write(ready[1], "x", 1);
      for (;;) pause();
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
  }
  static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
};

TEST_F(Lock, HasOneHolderAtATime) {
  auto first = hold();
  EXPECT_EQ(first->note(), "");
  EXPECT_THAT([&] { hold(); }, ThrowsMessage<Error>(AllOf(HasSubstr("results: another crosstate"),
                                                          HasSubstr("mpirun"))));
  first.reset();
  EXPECT_TRUE(fs::is_empty(directory_));
  EXPECT_NO_THROW(hold());
}

TEST_F(Lock, EndsWithItsProcess) {
  const pid_t child = holder(&::flock);
  EXPECT_THROW(hold(), Error);
  end(child);
  EXPECT_TRUE(fs::exists(path()));
  EXPECT_NO_THROW(hold());
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(Lock, TellsAFileSystemWithoutLocksFromAnotherHolder) {
  for (const FileLock::Flock flock :
       {&refuse<ENOSYS>, &refuse<ENOLCK>, &refuse<EOPNOTSUPP>, &refuse<ENOTSUP>}) {
    auto first = hold(flock);
    EXPECT_THAT(first->note(), AllOf(HasSubstr("results: its file system has no locks"),
                                     HasSubstr(owner().string())));
    EXPECT_THAT([&] { hold(flock); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr("another crosstate (process " + std::to_string(getpid())),
                          HasSubstr("remove " + owner().string()))));
    first.reset();
    EXPECT_TRUE(fs::is_empty(directory_));
  }
  EXPECT_THAT([&] { hold(&refuse<EWOULDBLOCK>); },
              ThrowsMessage<Error>(HasSubstr("another crosstate")));
  EXPECT_THAT(
      [&] { hold(&refuse<EIO>); },
      ThrowsMessage<Error>(AllOf(HasSubstr("cannot lock: "), testing::Not(HasSubstr("another")))));
}

TEST_F(Lock, WithoutLocksTakesWhatAKilledProcessHasLeft) {
  const pid_t child = holder(&refuse<ENOSYS>);
  EXPECT_THAT([&] { hold(&refuse<ENOSYS>); },
              ThrowsMessage<Error>(HasSubstr("process " + std::to_string(child))));
  end(child);
  EXPECT_TRUE(fs::exists(owner()));
  EXPECT_NO_THROW(hold(&refuse<ENOSYS>));
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(Lock, WithoutLocksJudgesProcessesByMoreThanTheirNumber) {
  hold(&refuse<ENOSYS>);  // leaves nothing
  std::string mine;
  {
    const auto held = hold(&refuse<ENOSYS>);
    mine = read_file(owner());
  }
  // The same process id, reused later or after a reboot.
  const std::size_t start = mine.rfind(' ');
  write_file(owner(), mine.substr(0, start) + " 1\n");
  EXPECT_NO_THROW(hold(&refuse<ENOSYS>));
  const std::size_t boot = mine.rfind(' ', start - 1);
  write_file(owner(), mine.substr(0, boot) + " earlier" + mine.substr(start));
  EXPECT_NO_THROW(hold(&refuse<ENOSYS>));
  // The state of processes on another host is unknown.
  write_file(owner(), "elsewhere" + mine.substr(mine.find(' ')));
  EXPECT_THAT([&] { hold(&refuse<ENOSYS>); }, ThrowsMessage<Error>(HasSubstr("on elsewhere")));
  write_file(owner(), "");
  EXPECT_THAT([&] { hold(&refuse<ENOSYS>); }, ThrowsMessage<Error>(HasSubstr("remove ")));
}

}  // namespace
}  // namespace crosstate
