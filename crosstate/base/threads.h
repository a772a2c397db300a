// A fixed pool of worker threads with one primitive: a parallel loop over independent items.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace crosstate {

/// Runs loops on a fixed number of threads. Items are handed out dynamically, so which thread runs
/// an item is not fixed: callers write each item's result to its own place and reduce in item
/// order, which makes every result independent of the number of threads.
class ThreadPool {
 public:
  /// threads = 0 uses every core this process may run on.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  /// Calls body(item, worker) for item in [0, count); worker in [0, size()) owns scratch memory.
  /// When bodies throw, no further items start and the exception of the lowest item is rethrown
  /// here once every worker has stopped: the one that a serial loop would have thrown.
  /// A loop inside a loop of the same pool runs serially on its worker.
  void parallel_for(std::size_t count,
                    const std::function<void(std::size_t item, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crosstate
