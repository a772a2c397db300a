// A sweep file: its runs, and which of them share a float training.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/pipeline/options.h"
#include "crosstate/search/pareto.h"

namespace crosstate::search {

/// The settings of section [sweep] of a sweep file.
struct SweepSettings {
  std::string name;
  std::string base;    // a configuration that every point starts from; "": the defaults
  std::string series;  // key of the lines of the plot: a varied key, "stage", or "": all in one
  std::string objectives = kObjectives;  // of the front; see parse_objectives()
  int threads = 1;                       // of each point
  double patience = 15;                  // seconds without a heartbeat
};
void fields(FieldList& list, SweepSettings& settings);

/// One complete run: the base with some settings of its own.
struct SweepPoint {
  std::string name;                                         // "model.channels=8 run.seed=1"
  std::vector<std::pair<std::string, std::string>> values;  // key and text, sorted by key
  pipeline::RunOptions options;
  std::string config;  // run_config() or SweepPlan::identity as text: the same for the same run
  int parent = -1;     // the float training that it starts from; -1: it names a file in run.start
};

/// A float training that points of the same data, model, [train] and seed share.
struct SweepParent {
  std::string name;              // of its directory
  pipeline::RunOptions options;  // nothing is pruned or quantized
};

struct SweepPlan {
  SweepSettings settings;
  std::vector<std::string> varied;  // keys, in the file's order
  std::vector<SweepPoint> points;   // no two are the same run
  std::vector<SweepParent> parents;
  /// The identity of a point's run, with the checksums of the files that it reads. Empty: the files
  /// have not been read, and their names are used instead.
  std::function<nlohmann::json(const pipeline::RunOptions&)> identity;

  /// The text of a point's value of a key, varied by it or not.
  std::string value_of(const SweepPoint& point, const std::string& key) const;
  /// Those of several keys, with a space between two.
  std::string values_of(const SweepPoint& point, const std::vector<std::string>& keys) const;
  /// The same for the same points on every machine.
  std::string digest() const;
};

/// Command-line overrides of a sweep.
struct SweepOverrides {
  std::function<void(FieldList&)> before = [](FieldList&) {};  // overridden by the file
  std::function<void(FieldList&)> after = [](FieldList&) {};   // overrides the file
  std::vector<std::string> keys;                               // that `after` sets
  bool inputs = false;  // checks a directory of data and a run.start of all points first
};

/// Reads [grid], whose lists are multiplied, and every [[list]]. Points start from the defaults,
/// then `before`, [sweep] base, the file's other sections, and `after`. Everything is checked
/// before anything runs: throws Error with file, line and key for unknown keys and bad values, for
/// points whose settings contradict each other, for a key that both `after` and the points set, and
/// for one that is varied and changes nothing in any point.
SweepPlan read_plan(const std::string& path, const SweepOverrides& overrides = {});

/// Adds a point unless the plan has its like, and the parent that it needs. Throws Error, with
/// `where`, for settings that contradict each other.
void add_point(SweepPlan& plan, const pipeline::RunOptions& options,
               const std::vector<std::string>& varied_keys, const std::string& where);

/// The reason why a key has no effect in any point, as idle_reason_in_run() gives it for the last
/// one; "" if it may have an effect in some.
std::string idle_reason_in_plan(const SweepPlan& plan, const std::string& key);

/// Throws Error, with key and value, for a data.directory that does not exist and a run.start that
/// cannot be read. A run.start of a point's own fails with that point alone.
void require_inputs(const SweepPlan& plan);

/// The files that points start from by run.start.
std::vector<std::filesystem::path> start_files(const SweepPlan& plan);

/// Reads the files of all points and adds their checksums to the configurations of the points and
/// the names of the parents, so that a plan with other data is another plan. Throws Error for data
/// that cannot be read.
void identify(SweepPlan& plan);

/// The settings that the result of a run depends on, without the path of its data and the interval
/// of its reports.
nlohmann::json run_config(const pipeline::RunOptions& options);

}  // namespace crosstate::search
