#include "crosstate/search/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class Tasks : public DirectoryTest {
 protected:
  SweepPlan plan(const std::string& text) const {
    write_file(directory_ / "s.toml", text);
    return read_plan((directory_ / "s.toml").string());
  }

  // What is handed out until no task is free: "float", or the value of the point's first key.
  static std::vector<std::string> handed_out(SweepTasks& tasks, const SweepPlan& plan) {
    std::vector<std::string> all;
    while (const std::optional<int> task = tasks.next()) {
      const nlohmann::json what = tasks.describe(*task);
      all.push_back(what.contains("float")
                        ? "float " +
                              std::to_string(plan.parents[what.at("float")].options.model.channels)
                        : plan.points[what.at("point")].values[0].second);
      tasks.finish(*task, to_json(done()));
    }
    return all;
  }
  static Outcome done() {
    Outcome outcome;
    outcome.status = PointStatus::kDone;
    return outcome;
  }
};

TEST_F(Tasks, FloatTrainingsComeFirstAndOfEitherTheLongest) {
  const SweepPlan sizes = plan("[grid]\n\"model.channels\" = [8, 32, 16]\n");
  Store store(directory_);
  store.add(sizes.points);
  SweepTasks tasks(sizes, store, directory_, nullptr);
  EXPECT_THAT(handed_out(tasks, sizes),
              ElementsAre("float 32", "float 16", "float 8", "32", "16", "8"));
  EXPECT_TRUE(tasks.done());
}

TEST_F(Tasks, EqualOnesComeInTheOrderOfThePlan) {
  const SweepPlan seeds = plan("[grid]\n\"quant.preset\" = [\"w8a8s8\", \"w2a8s8\", \"w4a8s8\"]\n");
  Store store(directory_);
  store.add(seeds.points);
  SweepTasks tasks(seeds, store, directory_, nullptr);
  EXPECT_THAT(handed_out(tasks, seeds), ElementsAre("float 16", "w8a8s8", "w2a8s8", "w4a8s8"));
}

TEST_F(Tasks, LongerTrainingsAndWhatWasGivenBackComeFirst) {
  const SweepPlan epochs = plan("[grid]\n\"qat.epochs\" = [2, 8, 4]\n");
  Store store(directory_);
  store.add(epochs.points);
  SweepTasks tasks(epochs, store, directory_, nullptr);
  tasks.finish(tasks.next().value(), to_json(done()));
  const int longest = tasks.next().value();
  EXPECT_EQ(epochs.points[tasks.describe(longest).at("point")].options.qat.epochs, 8);
  tasks.give_back(longest);
  EXPECT_EQ(tasks.next(), longest);
  EXPECT_THAT(handed_out(tasks, epochs), ElementsAre("4", "2"));
}

}  // namespace
}  // namespace crosstate::search
