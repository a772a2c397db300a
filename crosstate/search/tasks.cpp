#include "crosstate/search/tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

constexpr int kMostLost = 2;  // workers that may die executing the same task

// Time that training for these epochs and a test take, relative to other tasks.
double expected_work(const pipeline::RunOptions& options, int epochs) {
  const double channels = options.model.channels, states = options.model.states;
  const double sequences = options.data.train_limit > 0 ? options.data.train_limit : 1e6;
  return (epochs + 1) * sequences * options.model.layers * channels * (channels + states);
}

double expected_work(const SweepPoint& point) {
  const pipeline::RunOptions& options = point.options;
  return expected_work(options, options.quantize ? options.qat.epochs : 0);
}

}  // namespace

SweepTasks::SweepTasks(const SweepPlan& plan, Store& store, const std::filesystem::path& directory,
                       std::function<void(const SweepProgress&)> report)
    : plan_(plan), store_(store), report_(std::move(report)) {
  std::map<std::string, PointStatus> status;
  for (const StoredPoint& point : store.points()) status[point.name] = point.outcome.status;
  std::vector<bool> needed(plan.parents.size());
  for (std::size_t i = 0; i < plan.parents.size(); ++i) {
    const pipeline::RunOptions& options = plan.parents[i].options;
    tasks_.push_back({false, i, expected_work(options, options.train.epochs)});
  }
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    const SweepPoint& point = plan.points[i];
    Task task{true, i, expected_work(point)};
    if (status[point.name] != PointStatus::kPending) {
      task.state = State::kFinished;
      ++finished_points_;
    } else if (point.parent >= 0) {
      const auto parent = static_cast<std::size_t>(point.parent);
      needed[parent] = true;
      if (!is_trained(directory, plan.parents[parent])) task.state = State::kAbsent;
    }
    tasks_.push_back(task);
  }
  for (std::size_t i = 0; i < plan.parents.size(); ++i) {
    if (!needed[i] || is_trained(directory, plan.parents[i])) tasks_[i].state = State::kFinished;
  }
  open_ =
      static_cast<std::size_t>(std::count_if(tasks_.begin(), tasks_.end(), [](const Task& task) {
        return task.state != State::kFinished;
      }));
}

std::optional<int> SweepTasks::next() {
  Task* longest = nullptr;
  for (Task& task : tasks_) {
    if (task.state != State::kFree) continue;
    if (longest != nullptr && task.is_point && !longest->is_point) break;
    if (longest == nullptr || task.work > longest->work) longest = &task;
  }
  if (longest == nullptr) return std::nullopt;
  longest->state = State::kOut;
  return static_cast<int>(longest - tasks_.data());
}

json SweepTasks::describe(int task) const {
  const Task& of = tasks_[static_cast<std::size_t>(task)];
  return {{of.is_point ? "point" : "float", of.index}};
}

void SweepTasks::finish(int task, const json& result) {
  Task& of = tasks_[static_cast<std::size_t>(task)];
  const Outcome outcome = outcome_from(result);
  of.state = State::kFinished;
  --open_;
  if (of.is_point) {
    finish_point(of.index, outcome);
  } else {
    finish_parent(of.index, outcome);
  }
}

void SweepTasks::finish_point(std::size_t index, const Outcome& outcome) {
  const std::string& name = plan_.points[index].name;
  store_.record(name, outcome);
  ++finished_points_;
  if (report_) report_({name, true, outcome, finished_points_, plan_.points.size()});
}

// Its points may now start, or fail with it.
void SweepTasks::finish_parent(std::size_t index, const Outcome& outcome) {
  const std::string task = "float " + plan_.parents[index].name;
  store_.record_time(task, outcome.seconds);
  if (report_) report_({task, false, outcome, finished_points_, plan_.points.size()});
  for (Task& child : tasks_) {
    if (!child.is_point || child.state != State::kAbsent ||
        plan_.points[child.index].parent != static_cast<int>(index)) {
      continue;
    }
    if (outcome.status == PointStatus::kDone) {
      child.state = State::kFree;
    } else {
      child.state = State::kFinished;
      --open_;
      finish_point(child.index, failed_outcome("float training: " + outcome.error));
    }
  }
}

void SweepTasks::give_back(int task) {
  tasks_[static_cast<std::size_t>(task)].state = State::kFree;
}

// A task that crashes one process after the other must not stop all of them.
void SweepTasks::lose(int task) {
  give_back(task);
  Task& of = tasks_[static_cast<std::size_t>(task)];
  if (++of.lost < kMostLost) return;
  finish(task, to_json(failed_outcome(std::to_string(of.lost) + " processes died executing it")));
}

bool SweepTasks::done() const { return open_ == 0; }

Work sweep_work(const SweepPlan& plan, const ExecuteContext& context) {
  return [&plan, context](const json& task, const Stop& stop) -> std::optional<json> {
    ExecuteContext own = context;
    own.stop = stop;
    std::optional<Outcome> outcome;
    if (task.contains("float")) {
      outcome = train_parent(plan.parents.at(task.at("float").get<std::size_t>()), own);
    } else {
      outcome = run_point(plan, plan.points.at(task.at("point").get<std::size_t>()), own);
    }
    if (!outcome) return std::nullopt;
    return to_json(*outcome);
  };
}

}  // namespace crosstate::search
