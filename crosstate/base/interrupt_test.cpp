#include "crosstate/base/interrupt.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

namespace crosstate {
namespace {

// Each case runs in a child process, so that no handler outlives its test.
class InterruptDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

void expect_flag_after(int signal_number) {
  catch_interrupts();
  const bool before = interrupted();
  raise(signal_number);
  std::_Exit(!before && interrupted() ? 0 : 1);
}

TEST_F(InterruptDeathTest, FirstSignalSetsTheFlag) {
  EXPECT_EXIT(expect_flag_after(SIGINT), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(expect_flag_after(SIGTERM), testing::ExitedWithCode(0), "");
}

void raise_both(int first, int second) {
  catch_interrupts();
  raise(first);
  raise(second);
  std::_Exit(0);
}

TEST_F(InterruptDeathTest, SecondSignalEndsTheProcess) {
  EXPECT_EXIT(raise_both(SIGINT, SIGINT), testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(raise_both(SIGINT, SIGTERM), testing::KilledBySignal(SIGTERM), "");
}

void catch_twice() {
  catch_interrupts();
  raise(SIGINT);
  catch_interrupts();
  std::_Exit(interrupted() ? 1 : 0);
}

TEST_F(InterruptDeathTest, CatchingAgainClearsTheFlag) {
  EXPECT_EXIT(catch_twice(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace crosstate
