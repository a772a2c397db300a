// Execution of one task of a sweep: a float training or a point.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "crosstate/search/outcome.h"
#include "crosstate/search/plan.h"

namespace crosstate::search {

struct ExecuteContext {
  std::filesystem::path directory;  // of the sweep
  int threads = 1;
  std::function<void(const std::string& task, const train::TrainProgress&)>
      progress;  // may be empty
  std::function<bool()> stop;
  std::function<void(const std::string&)> note = {};  // messages for the user; from any thread
};

/// The directory for the models and checkpoints of a point or a parent.
std::filesystem::path point_directory(const std::filesystem::path& sweep, const SweepPoint& point);
std::filesystem::path parent_directory(const std::filesystem::path& sweep,
                                       const SweepParent& parent);

/// Whether the parent's network is complete.
bool is_trained(const std::filesystem::path& sweep, const SweepParent& parent);

/// Both resume from the last checkpoint of an earlier attempt, and return nothing if they were
/// stopped. An error gives an outcome with status "failed" and leaves the files in place; if the
/// files of an earlier attempt are damaged or belong to other inputs, the task reports that and
/// starts over. The sweep's directory is locked by rank 0.
std::optional<Outcome> train_parent(const SweepParent& parent, const ExecuteContext& context);
std::optional<Outcome> run_point(const SweepPlan& plan, const SweepPoint& point,
                                 const ExecuteContext& context);

}  // namespace crosstate::search
