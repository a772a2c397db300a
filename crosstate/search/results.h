// Results of a sweep as files, tables and plots.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "crosstate/report/report.h"
#include "crosstate/search/outcome.h"
#include "crosstate/search/pareto.h"
#include "crosstate/search/plan.h"
#include "crosstate/search/store.h"

namespace crosstate::search {

struct SeedSpread {
  double mean = 0, deviation = 0;  // over the sample; NaN without values
};

/// Points that differ only in run.seed.
struct SweepGroup {
  std::vector<std::string> values;  // of SweepResults::keys
  std::vector<std::size_t> points;  // indices of finished points in the plan
  std::map<std::string, SeedSpread> metrics;
};

struct SweepResults {
  std::vector<std::string> keys;  // keys with more than one value, without run.seed
  std::vector<Outcome> outcomes;  // of the points of the plan, in order
  std::vector<SweepGroup> groups;
  std::vector<std::size_t>
      front;  // of the means of the groups, by the objectives of the plan; sorted by the first
  std::size_t done = 0, failed = 0;
};

/// The task of the points of a plan.
const task::Task& task_of(const SweepPlan& plan);

SweepResults collect(const SweepPlan& plan, const Store& store);

/// Every stored point without its times, sorted by name: the same text in whatever order points
/// were finished.
std::string dump_csv(const Store& store);

/// One row per point, in the order of the plan; and one row per group of the front.
std::string results_csv(const SweepPlan& plan, const SweepResults& results);
std::string front_csv(const SweepPlan& plan, const SweepResults& results);

/// Mean +- standard deviation per group, for the terminal.
report::Table summary_table(const SweepPlan& plan, const SweepResults& results);
report::Table failure_table(const SweepPlan& plan, const SweepResults& results);

/// Writes results.csv, front.csv and report.html, and returns the report.
report::Report write_results(const SweepPlan& plan, const SweepResults& results,
                             const std::filesystem::path& directory);

}  // namespace crosstate::search
