#include "crosstate/base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

constexpr int kMostThreads = 1024;

int usable_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  // The call above fails on machines with more cores than cpu_set_t has.
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int checked_size(int threads) {
  if (threads < 0 || threads > kMostThreads) {
    fail("threads", std::to_string(threads) + " is out of range, expected 0 to " +
                        std::to_string(kMostThreads));
  }
  return threads == 0 ? std::min(usable_cores(), kMostThreads) : threads;
}

// The pool whose loop this thread is executing, and its worker index.
struct Place {
  const void* pool = nullptr;
  int worker = 0;
};
thread_local Place current_place;

class PlaceGuard {
 public:
  explicit PlaceGuard(Place place) : outer_(std::exchange(current_place, place)) {}
  ~PlaceGuard() { current_place = outer_; }
  PlaceGuard(const PlaceGuard&) = delete;
  PlaceGuard& operator=(const PlaceGuard&) = delete;

 private:
  Place outer_;
};

}  // namespace

// The calling thread is worker 0; workers 1 .. size-1 sleep between loops.
struct ThreadPool::State {
  using Body = std::function<void(std::size_t, int)>;

  explicit State(int threads) : size(threads) {
    try {
      for (int worker = 1; worker < size; ++worker) {
        workers.emplace_back([this, worker] { serve(worker); });
      }
    } catch (const std::system_error& error) {
      stop();
      fail("threads", "cannot start " + std::to_string(size) + " threads: " + error.what());
    }
  }
  ~State() { stop(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void stop() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    loop_started.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void serve(int worker) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      loop_started.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping) return;
      seen = generation;
      lock.unlock();
      work(worker);
      lock.lock();
      if (--busy == 0) loop_finished.notify_one();
    }
  }

  // Executes items in ascending order until none are left or one has failed.
  void work(int worker) {
    const PlaceGuard guard({this, worker});
    for (;;) {
      const std::size_t item = next.fetch_add(1);
      if (item >= count) return;
      try {
        (*body)(item, worker);
      } catch (...) {
        record_failure(item);
        return;
      }
    }
  }

  // Every item before a failed one has already started and runs to its end, so keeping the failure
  // of the lowest item gives the same exception for any number of threads.
  void record_failure(std::size_t item) {
    next.store(count);
    std::lock_guard lock(mutex);
    if (failure && failed_item < item) return;
    failure = std::current_exception();
    failed_item = item;
  }

  void run(std::size_t items, const Body& loop_body) {
    // Loops started by different threads are serialised.
    std::lock_guard turn(loop_mutex);
    {
      std::lock_guard lock(mutex);
      body = &loop_body;
      count = items;
      next.store(0);
      failure = nullptr;
      busy = size - 1;
      ++generation;
    }
    loop_started.notify_all();
    work(0);
    std::unique_lock lock(mutex);
    loop_finished.wait(lock, [&] { return busy == 0; });
    const std::exception_ptr failed = std::exchange(failure, nullptr);
    lock.unlock();
    if (failed) std::rethrow_exception(failed);
  }

  const int size;
  std::vector<std::thread> workers;
  std::mutex loop_mutex;

  std::mutex mutex;
  std::condition_variable loop_started, loop_finished;
  bool stopping = false;
  std::uint64_t generation = 0;
  int busy = 0;
  std::exception_ptr failure;
  std::size_t failed_item = 0;

  const Body* body = nullptr;
  std::size_t count = 0;
  std::atomic<std::size_t> next = 0;
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>(checked_size(threads))) {}
ThreadPool::~ThreadPool() = default;

int ThreadPool::size() const { return state_->size; }

void ThreadPool::parallel_for(std::size_t count,
                              const std::function<void(std::size_t item, int worker)>& body) {
  // Inside a loop of this pool every worker is busy: run here, with the scratch memory of this
  // worker.
  if (current_place.pool == state_.get()) {
    for (std::size_t item = 0; item < count; ++item) body(item, current_place.worker);
    return;
  }
  if (count > 0) state_->run(count, body);
}

}  // namespace crosstate
