// A fixed pool of worker threads with one operation: a parallel loop over independent items.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace crosstate {

/// Runs loops on a fixed number of threads. Items are distributed dynamically, so the thread that
/// executes an item is not fixed: callers write the result of each item to its own place and reduce
/// in the order of items, so that results do not depend on the number of threads.
class ThreadPool {
 public:
  /// threads = 0 uses every core available to this process.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  /// Calls body(item, worker) for item in [0, count); `worker` in [0, size()) selects scratch
  /// memory. If a body throws, no further items start, and the exception of the lowest item is
  /// rethrown here after all workers have stopped: the exception of a serial loop. A nested loop of
  /// the same pool runs serially on its worker.
  void parallel_for(std::size_t count,
                    const std::function<void(std::size_t item, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crosstate
