#include "crosstate/search/crew.h"

#include <nlohmann/json.hpp>

namespace crosstate::search {

Crew::Crew(int threads, const Work& work) : work_(work) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = closing_ = true;
  }
  given_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

int Crew::idle() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(threads_.size()) - busy_;
}

void Crew::start(int task, nlohmann::json what) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace_back(task, std::move(what));
  ++busy_;
  given_.notify_one();
}

std::vector<Finished> Crew::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  finished_.wait_for(lock, most, [&] { return !results_.empty() || thrown_; });
  if (thrown_) std::rethrow_exception(thrown_);
  return std::exchange(results_, {});
}

void Crew::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
}

void Crew::serve() {
  const Stop stopped = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_;
  };
  std::unique_lock lock(mutex_);
  for (;;) {
    given_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    auto [task, what] = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    Finished finished{task, std::nullopt};
    std::exception_ptr thrown;
    try {
      finished.result = work_(what, stopped);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    --busy_;
    if (thrown) thrown_ = thrown;
    results_.push_back(std::move(finished));
    finished_.notify_one();
  }
}

}  // namespace crosstate::search
