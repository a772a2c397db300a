// A sweep from its file to its results.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "crosstate/pipeline/output.h"
#include "crosstate/search/plan.h"
#include "crosstate/search/results.h"
#include "crosstate/search/tasks.h"
#include "crosstate/search/transport.h"

namespace crosstate::search {

struct SweepContext {
  std::filesystem::path directory;  // of results; under several ranks, one that they all see
  pipeline::Earlier earlier = pipeline::Earlier::kRefuse;  // handling of existing results
  bool retry_failed = false;             // repeats points that failed in an earlier session
  int workers = 1;                       // points at a time in this process
  std::unique_ptr<Transport> transport;  // null: this process alone
  std::function<void(const SweepProgress&)> report;  // of rank 0; may be empty
  std::function<void(const std::string&, const train::TrainProgress&)> training;  // may be empty
  std::function<void(const pipeline::OutputDirectory&)> opened;  // of rank 0; may be empty
  std::function<bool()> stop;
  std::function<void(const std::string&)> note =
      {};  // messages for the user about a run, from any thread
};

struct SweepSummary {
  bool leads = true;         // rank 0: the only one with results
  bool interrupted = false;  // what is finished is recorded
  bool lost_a_rank = false;  // nothing may wait for all ranks any more
  SweepResults results;
};

/// Runs the unfinished points and writes sweep.sqlite, results.csv, front.csv and report.html to
/// the directory. Killed at any moment, it continues with Earlier::kContinue; within a point, at
/// the last epoch. A point that fails is recorded as such, and the others go on. Throws Error for a
/// directory with results that `earlier` does not allow, and for points that have other settings or
/// data there.
SweepSummary run_sweep(const SweepPlan& plan, SweepContext context);

}  // namespace crosstate::search
