// Distribution of tasks to idle workers: threads of this process and other processes.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "crosstate/search/transport.h"

namespace crosstate::search {

/// The list of tasks, held by the leading process. Called from its main thread only.
class TaskList {
 public:
  virtual ~TaskList() = default;
  /// The next task that may start, which is then in progress; nothing if there is none at the
  /// moment.
  virtual std::optional<int> next() = 0;
  /// The description of a task that a worker needs; short, see Transport.
  virtual nlohmann::json describe(int task) const = 0;
  virtual void finish(int task, const nlohmann::json& result) = 0;
  /// Returns the task to the list: its worker was stopped or is dead.
  virtual void give_back(int task) = 0;
  virtual void lose(int task) = 0;
  virtual bool done() const = 0;
};

using Stop = std::function<bool()>;
/// Carries out a task on a thread of its own; nothing if it stopped on the way because `stop` said
/// so. A failure is a result, too; an exception ends the whole search.
using Work =
    std::function<std::optional<nlohmann::json>(const nlohmann::json& task, const Stop& stop)>;

struct TeamOptions {
  int workers = 1;             // threads of this process that carry out tasks
  double patience = 15;        // seconds of silence after which another process counts as dead
  std::string agreement = "";  // must be the same text in every process
};

/// The workers of a search. Rank 0 leads: it alone hands out tasks and takes results, and works as
/// well. Every other rank requests work and sends a heartbeat each second; the tasks of a rank
/// without heartbeat go to others. If rank 0 is silent, the others exit.
class Team {
 public:
  /// A team without transport is this process alone.
  Team(Work work, TeamOptions options, std::unique_ptr<Transport> transport = nullptr);
  ~Team();

  bool leads() const;

  /// Rank 0: until the list is done; false if `stop` said so, after all work has ceased.
  bool run(TaskList& tasks, const Stop& stop);
  /// Rank 0, after the last run(): lets the others go. The destructor does so, too.
  void dismiss();

  /// Other ranks: works until it is let go; false if it was stopped. Throws Error when rank 0
  /// refuses it or falls silent.
  bool follow(const Stop& stop);

  /// Whether a rank was lost on the way, so that nothing may wait for all of them any more.
  bool lost_a_rank() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::search
