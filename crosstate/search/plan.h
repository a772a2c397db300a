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

/// The settings in section [sweep] of a sweep file.
struct SweepSettings {
  std::string name;
  std::string base;  // configuration from which every point starts; "": the defaults
  std::string
      series;  // key that defines the lines of the plot: a varied key, "stage", or "": one line
  std::string objectives = kObjectives;  // of the front; see parse_objectives()
  int threads = 1;                       // of each point
  double patience = 15;                  // seconds without a heartbeat
};
void fields(FieldList& list, SweepSettings& settings);

/// One complete run: the base configuration with some settings changed.
struct SweepPoint {
  std::string name;                                         // "model.channels=8 run.seed=1"
  std::vector<std::pair<std::string, std::string>> values;  // key and text, sorted by key
  pipeline::RunOptions options;
  std::string config;  // run_config() or SweepPlan::identity as text: equal for equal runs
  int parent = -1;     // float training from which it starts; -1: a file in run.start
};

/// A float training shared by the points with the same data, model, [train] and seed.
struct SweepParent {
  std::string name;              // of its directory
  pipeline::RunOptions options;  // without pruning and quantization
};

struct SweepPlan {
  SweepSettings settings;
  std::vector<std::string> varied;  // keys, in the order of the file
  std::vector<SweepPoint> points;   // without duplicates
  std::vector<SweepParent> parents;
  /// The identity of a point's run, with checksums of the files that it reads. Empty: the files
  /// have not been read, and their names are used instead.
  std::function<nlohmann::json(const pipeline::RunOptions&)> identity;

  /// The text of a key's value in a point, whether it varies or not.
  std::string value_of(const SweepPoint& point, const std::string& key) const;
  /// The values of several keys, separated by spaces.
  std::string values_of(const SweepPoint& point, const std::vector<std::string>& keys) const;
  /// The same for the same points on every machine.
  std::string digest() const;
};

/// Command-line overrides of a sweep.
struct SweepOverrides {
  std::function<void(FieldList&)> before = [](FieldList&) {};  // overridden by the file
  std::function<void(FieldList&)> after = [](FieldList&) {};   // overrides the file
  std::vector<std::string> keys;                               // that `after` sets
  bool inputs = false;  // first check the data directory of all points
};

/// Reads [grid], the Cartesian product of lists, and every [[list]]. Points start from the
/// defaults, then `before`, the base of [sweep], the other sections of the file, and `after`.
/// Everything is checked before anything runs: throws Error with file, line and key for unknown
/// keys and invalid values, for points with contradictory settings, for a key that both `after` and
/// the points set, and for one that varies without effect in any point.
SweepPlan read_plan(const std::string& path, const SweepOverrides& overrides = {});

/// Adds a point unless the plan has an equal one, and the parent that it needs. Throws Error, with
/// `where`, for contradictory settings.
void add_point(SweepPlan& plan, const pipeline::RunOptions& options,
               const std::vector<std::string>& varied_keys, const std::string& where);

/// The reason why a key has no effect in any point, as returned by idle_reason_in_run() for the
/// last one; "" if it may have an effect in some point.
std::string idle_reason_in_plan(const SweepPlan& plan, const std::string& key);

/// Throws Error, with key and value, for a data.directory that does not exist and for files of
/// run.start and qat.teacher that some point cannot use, as read_given_networks() and
/// require_same_data() do.
void require_inputs(const SweepPlan& plan);

/// The files of run.start and qat.teacher.
std::vector<std::filesystem::path> given_files(const SweepPlan& plan);

/// Reads the files of all points and adds their checksums to the configurations of the points and
/// to the names of the parents, so that a plan with other data has another identity. Throws Error
/// for data that cannot be read.
void identify(SweepPlan& plan);

/// The settings that determine the result of a run, without the path of its data and the interval
/// of its reports.
nlohmann::json run_config(const pipeline::RunOptions& options);

}  // namespace crosstate::search
