// The tasks of a sweep: float trainings first, then each point when its float network is complete;
// in both cases the longest first, so that workers finish together.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "crosstate/search/execute.h"
#include "crosstate/search/queue.h"
#include "crosstate/search/store.h"

namespace crosstate::search {

/// Progress of a running sweep.
struct SweepProgress {
  std::string task;  // name of the point, or "float ..." for a training that points share
  bool is_point = true;
  Outcome outcome;
  std::size_t finished = 0, points = 0;  // including those of earlier sessions
};

class SweepTasks : public TaskList {
 public:
  /// Records finished tasks in `store`, and skips those already finished there. The arguments must
  /// outlive the object, except `report`, which may be empty.
  SweepTasks(const SweepPlan& plan, Store& store, const std::filesystem::path& directory,
             std::function<void(const SweepProgress&)> report);

  std::optional<int> next() override;
  nlohmann::json describe(int task) const override;
  void finish(int task, const nlohmann::json& result) override;
  void give_back(int task) override;
  void lose(int task) override;
  bool done() const override;

 private:
  enum class State { kAbsent, kFree, kOut, kFinished };  // absent: waits for its parent
  struct Task {
    bool is_point = false;
    std::size_t index = 0;  // in the plan
    double work = 0;        // expected time, relative to others
    State state = State::kFree;
    int lost = 0;  // number of workers that died executing it
  };

  void finish_point(std::size_t index, const Outcome& outcome);
  void finish_parent(std::size_t index, const Outcome& outcome);

  const SweepPlan& plan_;
  Store& store_;
  std::function<void(const SweepProgress&)> report_;
  std::vector<Task> tasks_;  // parents, then points
  std::size_t finished_points_ = 0, open_ = 0;
};

/// Executes a task as described by SweepTasks; for Team.
Work sweep_work(const SweepPlan& plan, const ExecuteContext& context);

}  // namespace crosstate::search
