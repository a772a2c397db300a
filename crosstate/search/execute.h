// Carrying out one task of a sweep: a float training or a point.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "crosstate/search/outcome.h"
#include "crosstate/search/plan.h"

namespace crosstate {

struct ExecuteContext {
  std::filesystem::path directory;  // of the sweep
  int threads = 1;
  std::function<void(const std::string& task, const TrainProgress&)> progress;  // may be empty
  std::function<bool()> stop;
  std::function<void(const std::string&)> note = {};  // what a user should know; from any thread
};

/// Where a point or a parent leaves its models and checkpoints.
std::filesystem::path point_directory(const std::filesystem::path& sweep, const SweepPoint& point);
std::filesystem::path parent_directory(const std::filesystem::path& sweep,
                                       const SweepParent& parent);

/// Whether the parent's network is complete.
bool is_trained(const std::filesystem::path& sweep, const SweepParent& parent);

/// Both continue from the last epoch that an earlier attempt has left, and return nothing if they
/// were stopped. What goes wrong is an outcome of status "failed", and what is there stays; but
/// where an earlier attempt's files are damaged or of other inputs, a task says so and starts anew.
/// The sweep's directory is locked by rank 0.
std::optional<Outcome> train_parent(const SweepParent& parent, const ExecuteContext& context);
std::optional<Outcome> run_point(const SweepPlan& plan, const SweepPoint& point,
                                 const ExecuteContext& context);

}  // namespace crosstate
