// Worker threads of one process. Internal to search/.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "crosstate/search/queue.h"

namespace crosstate::search {

struct Finished {
  int task = 0;
  std::optional<nlohmann::json> result;  // none: stopped before the end
};

/// Threads that execute tasks and return results. The destructor stops them and waits.
class Crew {
 public:
  Crew(int threads, const Work& work);
  ~Crew();

  /// Number of threads without a task.
  int idle() const;
  void start(int task, nlohmann::json what);
  /// The finished tasks, after waiting at most `most` for the first. Rethrows the exception of a
  /// task.
  std::vector<Finished> wait(std::chrono::milliseconds most);
  /// Running tasks stop soon, without a result.
  void stop();

 private:
  void serve();

  const Work& work_;
  mutable std::mutex mutex_;
  std::condition_variable given_, finished_;
  std::deque<std::pair<int, nlohmann::json>> waiting_;
  std::vector<Finished> results_;
  std::exception_ptr thrown_;
  int busy_ = 0;  // tasks waiting or running
  bool stopping_ = false, closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace crosstate::search
