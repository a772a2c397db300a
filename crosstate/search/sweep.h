// A sweep, from its file to its results.
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
  std::filesystem::path directory;  // for results; with several ranks, one visible to all
  pipeline::Earlier earlier = pipeline::Earlier::kRefuse;  // handling of existing results
  bool retry_failed = false;             // repeat points that failed in an earlier session
  int workers = 1;                       // concurrent points in this process
  std::unique_ptr<Transport> transport;  // null: only this process
  std::function<void(const SweepProgress&)> report;  // called on rank 0; may be empty
  std::function<void(const std::string&, const train::TrainProgress&)> training;  // may be empty
  std::function<void(const pipeline::OutputDirectory&)> opened;  // called on rank 0; may be empty
  std::function<bool()> stop;
  std::function<void(const std::string&)> note =
      {};  // messages for the user about a run, from any thread
};

struct SweepSummary {
  bool leads = true;         // rank 0: only this rank has results
  bool interrupted = false;  // finished points are recorded
  bool lost_a_rank = false;  // nothing may wait for all ranks
  SweepResults results;
};

/// Runs the unfinished points and writes sweep.sqlite, results.csv, front.csv and report.html to
/// the directory. If killed at any moment, it can be continued with Earlier::kContinue; a point
/// continues at its last epoch. A failed point is recorded, and the others continue. Throws Error
/// for a directory with results that `earlier` does not allow, and if points have other settings or
/// data there.
SweepSummary run_sweep(const SweepPlan& plan, SweepContext context);

}  // namespace crosstate::search
