// The design of a chip for a trained network: a multi-objective search over energy, area, and
// accuracy on simulated chips.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "crosstate/cost/range.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/report/report.h"
#include "crosstate/search/design.h"

namespace crosstate::search {

/// What was measured of a design. Costs are those of `crosstate cost`.
struct DesignMeasures {
  std::string unfit;           // why the network cannot be mapped; "" if it can
  cost::Range energy;          // of an inference, in nJ
  cost::Range area;            // in mm2
  cost::Range latency;         // of an inference, in us
  std::size_t arrays = 0;      // with those that store parts of weights, and copies
  double utilisation = 0;      // share of pairs that hold a weight
  std::vector<double> metric;  // primary metric of the task, by chip; empty: not simulated

  double mean() const;       // NaN if not simulated
  double deviation() const;  // over the chips; 0 for one chip
  double worst(bool higher_is_better) const;
};

struct DesignPoint {
  std::string settings;  // DesignSpace::text()
  Design design;
  DesignMeasures measures;
};

struct DesignSummary : SessionEnd {
  const task::Task* task = nullptr;
  std::vector<DesignPoint> designs;  // all that were considered, in that order
  std::vector<std::size_t> front;    // of these, by energy
  std::size_t simulated = 0, unfit = 0, over_budget = 0;
  std::map<std::string, std::size_t> reasons;  // why designs do not fit, and how many
  std::size_t sequences = 0;                   // held-out sequences on which they were tested
  std::uint64_t steps = 0;                     // of an inference
  std::string technology;
};

/// Chooses the design of the chip of run.target for the network by NSGA-II. Of the run, target,
/// data, seed, train.validation and calibration are used. Every design is first priced; those that
/// fit on arrays and into the budgets are simulated on chips. Writes sweep.sqlite,
/// design-front.csv and report.html. All measurements are stored, and Earlier::kContinue repeats
/// none; it refuses results of another network, target or data (require_same()). The same seed
/// gives the same result with any number of threads, workers and ranks. Throws Error before any
/// work for options that do not fit, for a network without integers, for a target with
/// external.command, and if no sequences are held out; and at the end if no design fits.
DesignSummary run_design_search(const inference::Model& model, const pipeline::RunOptions& run,
                                const DesignOptions& options, SearchContext context);

/// Why a setting has no effect in such a search; "" if it may have one.
std::string idle_reason_in_design(const std::string& key, const inference::Model& model,
                                  const pipeline::RunOptions& run, const DesignOptions& options);
/// Keys that it uses, as in FieldList::use_only().
std::vector<std::string> design_settings();

report::Table design_table(const DesignSummary& summary);
/// Why designs do not fit; no rows if all do.
report::Table unfit_table(const DesignSummary& summary);
nlohmann::json to_json(const DesignSummary& summary);

}  // namespace crosstate::search
