#include "crosstate/base/threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

class ThreadPoolOfSize : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOfSize, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolOfSize, RunsEveryItemOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const std::size_t count : {0, 1, 2, 7, 1000}) {
    std::vector<int> runs(count, 0);
    pool.parallel_for(count, [&](std::size_t item, int) { ++runs[item]; });
    EXPECT_EQ(runs, std::vector<int>(count, 1));
  }
}

TEST_P(ThreadPoolOfSize, WorkersOwnTheirScratch) {
  ThreadPool pool(GetParam());
  std::vector<long> sums(static_cast<std::size_t>(pool.size()), 0);
  pool.parallel_for(10'000, [&](std::size_t item, int worker) {
    sums.at(static_cast<std::size_t>(worker)) += static_cast<long>(item);
  });
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0L), 10'000L * 9'999 / 2);
}

TEST_P(ThreadPoolOfSize, RethrowsTheExceptionOfTheLowestItem) {
  ThreadPool pool(GetParam());
  for (int repeat = 0; repeat < 50; ++repeat) {
    const auto loop = [&] {
      pool.parallel_for(200, [](std::size_t item, int) {
        if (item >= 17) throw std::runtime_error("item " + std::to_string(item));
      });
    };
    EXPECT_THAT(loop, testing::ThrowsMessage<std::runtime_error>("item 17"));
  }
}

TEST_P(ThreadPoolOfSize, StaysUsableAfterAnException) {
  ThreadPool pool(GetParam());
  EXPECT_THROW(pool.parallel_for(3, [](std::size_t, int) { throw Error("once"); }), Error);
  std::atomic<int> runs = 0;
  pool.parallel_for(100, [&](std::size_t, int) { ++runs; });
  EXPECT_EQ(runs, 100);
}

TEST_P(ThreadPoolOfSize, NestedLoopRunsOnTheSameWorker) {
  ThreadPool pool(GetParam());
  std::vector<int> runs(8 * 8, 0);
  std::atomic<int> strangers = 0;
  pool.parallel_for(8, [&](std::size_t outer, int outer_worker) {
    pool.parallel_for(8, [&](std::size_t inner, int inner_worker) {
      ++runs[outer * 8 + inner];
      strangers += inner_worker != outer_worker;
    });
  });
  EXPECT_EQ(runs, std::vector<int>(64, 1));
  EXPECT_EQ(strangers, 0);
}

TEST_P(ThreadPoolOfSize, NestedLoopOnAnotherPoolUsesThatPool) {
  ThreadPool outer_pool(GetParam());
  ThreadPool inner_pool(2);
  std::atomic<int> runs = 0;
  outer_pool.parallel_for(6, [&](std::size_t, int) {
    inner_pool.parallel_for(5, [&](std::size_t, int worker) {
      EXPECT_LT(worker, inner_pool.size());
      ++runs;
    });
  });
  EXPECT_EQ(runs, 30);
}

TEST_P(ThreadPoolOfSize, LoopsFromSeveralThreadsTakeTurns) {
  ThreadPool pool(GetParam());
  std::vector<long> sums(static_cast<std::size_t>(pool.size()), 0);
  const auto loop = [&] {
    for (int repeat = 0; repeat < 20; ++repeat) {
      pool.parallel_for(50,
                        [&](std::size_t, int worker) { ++sums[static_cast<std::size_t>(worker)]; });
    }
  };
  std::thread other(loop);
  loop();
  other.join();
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0L), 2 * 20 * 50);
}

TEST(ThreadPool, ZeroThreadsMeansEveryUsableCore) { EXPECT_GE(ThreadPool(0).size(), 1); }

TEST(ThreadPool, RefusesSizesThatCannotBe) {
  EXPECT_THAT([] { ThreadPool pool(-1); },
              testing::ThrowsMessage<Error>("threads: -1 is out of range, expected 0 to 1024"));
  EXPECT_THROW(ThreadPool(1025), Error);
}

}  // namespace
}  // namespace crosstate
