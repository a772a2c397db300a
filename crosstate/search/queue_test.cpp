#include "crosstate/search/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "crosstate/base/error.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

// Ranks as threads of this process.
class Wires {
 public:
  explicit Wires(int ranks) : boxes_(static_cast<std::size_t>(ranks)) {}

  class Port : public Transport {
   public:
    Port(Wires& network, int rank) : network_(network), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(network_.boxes_.size()); }
    void send(int to, const std::string& text) override {
      const std::lock_guard lock(network_.mutex_);
      if (network_.dead_ != rank_) network_.box(to).push_back({rank_, text});
    }
    std::vector<Message> receive() override {
      const std::lock_guard lock(network_.mutex_);
      return std::exchange(network_.box(rank_), {});
    }

   private:
    Wires& network_;
    int rank_;
  };

  std::unique_ptr<Transport> port(int rank) { return std::make_unique<Port>(*this, rank); }
  // From now on nothing that it sends arrives.
  void kill(int rank) {
    const std::lock_guard lock(mutex_);
    dead_ = rank;
  }

 private:
  std::vector<Message>& box(int rank) { return boxes_[static_cast<std::size_t>(rank)]; }
  std::mutex mutex_;
  std::vector<std::vector<Message>> boxes_;
  int dead_ = -1;
};

// A list of integers to square; each may be finished once.
class Numbers : public TaskList {
 public:
  explicit Numbers(int count) : results(static_cast<std::size_t>(count), -1) {
    for (int i = count; i-- > 0;) free_.push_back(i);
  }
  std::optional<int> next() override {
    if (free_.empty()) return std::nullopt;
    const int task = free_.back();
    free_.pop_back();
    return task;
  }
  json describe(int task) const override { return task; }
  void finish(int task, const json& result) override {
    EXPECT_EQ(results[static_cast<std::size_t>(task)], -1) << "twice: " << task;
    results[static_cast<std::size_t>(task)] = result;
    ++finished;
  }
  void give_back(int task) override { free_.push_back(task); }
  void lose(int task) override {
    ++lost;
    give_back(task);
  }
  bool done() const override { return finished == static_cast<int>(results.size()); }
  void expect_squares() const {
    for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], static_cast<int>(i * i));
  }

  std::vector<int> results;
  int finished = 0, lost = 0;

 private:
  std::vector<int> free_;
};

std::optional<json> square(const json& task, const Stop&) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return task.get<int>() * task.get<int>();
}

bool never() { return false; }

TEST(Queue, DoesEveryTaskOnce) {
  for (const int workers : {1, 3}) {
    Numbers tasks(17);
    Team team(square, {.workers = workers});
    EXPECT_TRUE(team.leads());
    EXPECT_TRUE(team.run(tasks, never));
    tasks.expect_squares();
    Numbers more(2);
    EXPECT_TRUE(team.run(more, never));
    team.dismiss();
    more.expect_squares();
  }
}

TEST(Queue, EndsAtOnceWithoutTasks) {
  Numbers none(0);
  EXPECT_TRUE(Team(square, {}).run(none, never));
}

TEST(Queue, StopsWithoutLosingATask) {
  Numbers tasks(8);
  std::atomic<int> begun = 0;
  const Work endless = [&](const json&, const Stop& stop) -> std::optional<json> {
    ++begun;
    while (!stop()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::nullopt;
  };
  Team team(endless, {.workers = 2});
  EXPECT_FALSE(team.run(tasks, [&] { return begun == 2; }));
  EXPECT_EQ(tasks.finished, 0);
  int free = 0;
  while (tasks.next()) ++free;
  EXPECT_EQ(free, 8);
}

TEST(Queue, PassesOnWhatATaskThrows) {
  Numbers tasks(3);
  Team team([](const json&, const Stop&) -> std::optional<json> { fail("task", "broken"); }, {});
  EXPECT_THROW(team.run(tasks, never), Error);
}

TEST(Queue, SharesTasksBetweenRanks) {
  Wires network(3);
  std::vector<std::thread> others;
  std::atomic<int> done_by_others = 0;
  for (const int rank : {1, 2}) {
    others.emplace_back([&, rank] {
      const Work work = [&](const json& task, const Stop& stop) {
        ++done_by_others;
        return square(task, stop);
      };
      Team team(work, {.workers = 2, .agreement = "x"}, network.port(rank));
      EXPECT_FALSE(team.leads());
      EXPECT_TRUE(team.follow(never));
      EXPECT_FALSE(team.lost_a_rank());
    });
  }
  Numbers tasks(60), more(5);
  Team team(square, {.agreement = "x"}, network.port(0));
  EXPECT_TRUE(team.run(tasks, never));
  EXPECT_TRUE(team.run(more, never));
  team.dismiss();
  for (std::thread& other : others) other.join();
  tasks.expect_squares();
  more.expect_squares();
  EXPECT_GT(done_by_others, 10);
  EXPECT_FALSE(team.lost_a_rank());
}

TEST(Queue, GivesTheTasksOfADeadRankToOthers) {
  Wires network(3);
  std::atomic<bool> over = false;
  std::thread dying([&] {
    const Work work = [&](const json& task, const Stop& stop) {
      network.kill(1);  // with a task in progress
      return square(task, stop);
    };
    Team team(work, {.patience = 0.5}, network.port(1));
    EXPECT_THROW(team.follow([&] { return over.load(); }), Error);  // receives nothing
  });
  std::thread living([&] {
    Team team(square, {.patience = 2}, network.port(2));
    EXPECT_TRUE(team.follow(never));
  });
  Numbers tasks(40);
  Team team(square, {.patience = 2}, network.port(0));
  EXPECT_TRUE(team.run(tasks, never));
  team.dismiss();
  living.join();
  dying.join();
  tasks.expect_squares();
  EXPECT_EQ(tasks.lost, 1);
  EXPECT_TRUE(team.lost_a_rank());
}

// Otherwise it would wait for the dead rank at the end.
TEST(Queue, TellsTheLivingOfARankThatDiesAtTheEnd) {
  Wires network(3);
  std::thread dying([&] {
    Team team(square, {.patience = 0.2}, network.port(1));
    std::atomic<int> looks = 0;
    EXPECT_THROW(team.follow([&] {
      if (++looks == 20) network.kill(1);
      return false;
    }),
                 Error);
  });
  std::thread living([&] {
    Team team(square, {.patience = 2}, network.port(2));
    EXPECT_TRUE(team.follow(never));
    EXPECT_TRUE(team.lost_a_rank());
  });
  Numbers tasks(1);
  Team team(square, {.patience = 1}, network.port(0));
  EXPECT_TRUE(team.run(tasks, [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return false;
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  team.dismiss();
  living.join();
  dying.join();
}

TEST(Queue, RefusesARankWithOtherPoints) {
  Wires network(2);
  std::thread other([&] {
    Team team(square, {.agreement = "y"}, network.port(1));
    EXPECT_THROW(team.follow(never), Error);
  });
  Numbers tasks(5);
  Team team(square, {.agreement = "x"}, network.port(0));
  EXPECT_TRUE(team.run(tasks, never));
  team.dismiss();
  other.join();
  tasks.expect_squares();
}

TEST(Queue, StopsEveryRank) {
  Wires network(2);
  std::atomic<int> begun = 0;
  const Work endless = [&](const json&, const Stop& stop) -> std::optional<json> {
    ++begun;
    while (!stop()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::nullopt;
  };
  std::thread other([&] {
    Team team(endless, {}, network.port(1));
    EXPECT_FALSE(team.follow(never));
  });
  Numbers tasks(9);
  Team team(endless, {}, network.port(0));
  EXPECT_FALSE(team.run(tasks, [&] { return begun == 2; }));
  team.dismiss();
  other.join();
  EXPECT_EQ(tasks.finished, 0);
  EXPECT_EQ(tasks.lost, 0);
  int free = 0;
  while (tasks.next()) ++free;
  EXPECT_EQ(free, 9);
}

}  // namespace
}  // namespace crosstate::search
