// Distribution of tasks to idle workers: threads of this process and of other processes.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "crosstate/search/transport.h"

namespace crosstate::search {

/// The list of tasks, owned by the leading process. Called only from its main thread.
class TaskList {
 public:
  virtual ~TaskList() = default;
  /// The next task that may start, which is then in progress; nothing if there is none at the
  /// moment.
  virtual std::optional<int> next() = 0;
  /// The description of a task for a worker; short, see Transport.
  virtual nlohmann::json describe(int task) const = 0;
  virtual void finish(int task, const nlohmann::json& result) = 0;
  /// Returns a task to the list because its worker was stopped or died.
  virtual void give_back(int task) = 0;
  virtual void lose(int task) = 0;
  virtual bool done() const = 0;
};

using Stop = std::function<bool()>;
/// Executes a task on a thread of its own; returns nothing if `stop` ended it. A failure is also a
/// result; an exception ends the whole search.
using Work =
    std::function<std::optional<nlohmann::json>(const nlohmann::json& task, const Stop& stop)>;

struct TeamOptions {
  int workers = 1;             // threads of this process that execute tasks
  double patience = 15;        // seconds of silence after which another process counts as dead
  std::string agreement = "";  // must be the same text in every process
};

/// The workers of a search. Rank 0 leads: only it hands out tasks and receives results; it also
/// works. Every other rank requests work and sends a heartbeat each second; the tasks of a rank
/// without heartbeat are given to others. If rank 0 does not answer, the others exit.
class Team {
 public:
  /// A team without transport consists of this process only.
  Team(Work work, TeamOptions options, std::unique_ptr<Transport> transport = nullptr);
  ~Team();

  bool leads() const;

  /// Rank 0: runs until the list is done; returns false if `stop` ended it, after all work has
  /// stopped.
  bool run(TaskList& tasks, const Stop& stop);
  /// Rank 0, after the last run(): releases the other ranks. The destructor does so as well.
  void dismiss();

  /// Other ranks: work until released; false if stopped. Throws Error if rank 0 refuses this rank
  /// or does not answer.
  bool follow(const Stop& stop);

  /// Whether a rank was lost, so that nothing may wait for all of them.
  bool lost_a_rank() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::search
