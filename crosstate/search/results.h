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
  double mean = 0, deviation = 0;  // of the sample; NaN where there is none
};

/// Points that differ in run.seed alone.
struct SweepGroup {
  std::vector<std::string> values;  // of SweepResults::keys
  std::vector<std::size_t> points;  // of the plan, finished ones
  std::map<std::string, SeedSpread> metrics;
};

struct SweepResults {
  std::vector<std::string> keys;  // varied with more than one value, without run.seed
  std::vector<Outcome> outcomes;  // of the plan's points, in its order
  std::vector<SweepGroup> groups;
  std::vector<std::size_t> front;  // of the groups' means, by the plan's objectives; by the first
  std::size_t done = 0, failed = 0;
};

/// The task of a plan's points.
const task::Task& task_of(const SweepPlan& plan);

SweepResults collect(const SweepPlan& plan, const Store& store);

/// Every stored point without its times, sorted by name: the same text however the sweep came to
/// its end.
std::string dump_csv(const Store& store);

/// A row per point, in the plan's order; and a row per group of the front.
std::string results_csv(const SweepPlan& plan, const SweepResults& results);
std::string front_csv(const SweepPlan& plan, const SweepResults& results);

/// Mean +- deviation per group, for the terminal.
report::Table summary_table(const SweepPlan& plan, const SweepResults& results);
report::Table failure_table(const SweepPlan& plan, const SweepResults& results);

/// Leaves results.csv, front.csv and report.html, whose content it returns.
report::Report write_results(const SweepPlan& plan, const SweepResults& results,
                             const std::filesystem::path& directory);

}  // namespace crosstate::search
