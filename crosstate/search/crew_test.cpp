#include "crosstate/search/crew.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate::search {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

constexpr milliseconds kLong{20000};  // longer than any task here

// All results, by task, until `count` tasks have ended.
std::map<int, std::optional<json>> ended(Crew& crew, std::size_t count) {
  std::map<int, std::optional<json>> all;
  while (all.size() < count) {
    const std::vector<Finished> some = crew.wait(kLong);
    if (some.empty()) {
      ADD_FAILURE() << "only " << all.size() << " of " << count << " tasks ended";
      break;
    }
    for (const Finished& one : some) EXPECT_TRUE(all.emplace(one.task, one.result).second);
  }
  return all;
}

std::optional<json> until_stopped(const json&, const Stop& stop) {
  while (!stop()) std::this_thread::sleep_for(milliseconds(1));
  return std::nullopt;
}

TEST(CrewTest, ReturnsTheResultOfEachTask) {
  const Work work = [](const json& task, const Stop&) -> std::optional<json> {
    return json{{"twice", 2 * task.at("value").get<int>()}};
  };
  Crew crew(3, work);
  EXPECT_EQ(crew.idle(), 3);
  for (int i = 0; i < 20; ++i) crew.start(100 + i, {{"value", i}});
  const auto all = ended(crew, 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(all.at(100 + i)->at("twice"), 2 * i);
  EXPECT_EQ(crew.idle(), 3);
  EXPECT_THAT(crew.wait(milliseconds(0)), IsEmpty());  // each is returned once
}

TEST(CrewTest, CountsTasksFromTheirStart) {
  std::atomic<bool> over = false;
  const Work work = [&](const json&, const Stop&) -> std::optional<json> {
    while (!over) std::this_thread::sleep_for(milliseconds(1));
    return json();
  };
  Crew crew(2, work);
  for (const int left : {1, 0, -1}) {  // the third waits for a thread
    crew.start(left, nullptr);
    EXPECT_EQ(crew.idle(), left);
  }
  EXPECT_THAT(crew.wait(milliseconds(5)), IsEmpty());
  EXPECT_EQ(crew.idle(), -1);
  over = true;
  ended(crew, 3);
  EXPECT_EQ(crew.idle(), 2);
}

TEST(CrewTest, WorksAtTheSameTime) {
  std::atomic<int> here = 0;
  // Each task ends only after all three have begun.
  const Work work = [&](const json&, const Stop& stop) -> std::optional<json> {
    ++here;
    while (here < 3 && !stop()) std::this_thread::sleep_for(milliseconds(1));
    return here.load();
  };
  Crew crew(3, work);
  for (int i = 0; i < 3; ++i) crew.start(i, nullptr);
  for (const auto& [task, result] : ended(crew, 3)) EXPECT_EQ(*result, 3);
}

TEST(CrewTest, OfOneThreadKeepsTheOrder) {
  std::mutex mutex;
  std::vector<int> order;
  const Work work = [&](const json& task, const Stop&) -> std::optional<json> {
    const std::lock_guard lock(mutex);
    order.push_back(task);
    return task;
  };
  Crew crew(1, work);
  for (const int i : {4, 1, 3, 2}) crew.start(i, i);
  ended(crew, 4);
  EXPECT_THAT(order, ElementsAre(4, 1, 3, 2));
}

TEST(CrewTest, StopsWhatRunsAndWhatWaits) {
  const Work work = until_stopped;
  Crew crew(2, work);
  for (int i = 0; i < 5; ++i) crew.start(i, nullptr);
  EXPECT_THAT(crew.wait(milliseconds(5)), IsEmpty());
  crew.stop();
  for (const auto& [task, result] : ended(crew, 5)) EXPECT_FALSE(result) << task;
  EXPECT_EQ(crew.idle(), 2);
}

TEST(CrewTest, PassesExceptionsOnAndLosesNoThread) {
  const Work work = [](const json& task, const Stop&) -> std::optional<json> {
    if (task == "wrong") fail("task", "broken");
    return task;
  };
  Crew crew(1, work);
  crew.start(0, "wrong");
  EXPECT_THAT([&] { crew.wait(kLong); }, ThrowsMessage<Error>(HasSubstr("task: broken")));
  EXPECT_EQ(crew.idle(), 1);
  // The search has failed: results of other tasks do not hide it.
  crew.start(1, "right");
  EXPECT_THROW(crew.wait(kLong), Error);
  for (int i = 0; i < 20000 && crew.idle() < 1; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(crew.idle(), 1);
}

TEST(CrewTest, EndsWithoutWhatWaits) {
  std::atomic<int> begun = 0, stopped = 0;
  const Work work = [&](const json& task, const Stop& stop) {
    ++begun;
    const std::optional<json> result = until_stopped(task, stop);
    ++stopped;
    return result;
  };
  {
    Crew crew(2, work);
    for (int i = 0; i < 6; ++i) crew.start(i, nullptr);
    for (int i = 0; i < 20000 && begun < 2; ++i) std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(begun, 2);
  EXPECT_EQ(stopped, 2);
  Crew(3, work);  // ends without any task
}

}  // namespace
}  // namespace crosstate::search
