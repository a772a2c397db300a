// The results of a sweep in one SQLite file, which stays consistent if the process is killed.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/search/outcome.h"
#include "crosstate/search/plan.h"

namespace crosstate::search {

struct StoredPoint {
  std::string name;
  std::string config;
  Outcome outcome;
};

/// Tables:
/// - points: one row per point, keyed and sorted by its name: point, status, error, config (JSON)
///   and a column per metric; nothing that depends on the machine or the time;
/// - times: task ("point ..." or "float ...") and its seconds of work;
/// - proxies: of a search, the measurements of a candidate (JSON), keyed by scope and genome;
/// - meta: key and value.
/// Every call is one transaction (rollback journal, synchronous = FULL). Throws Error naming the
/// file, and for a damaged row the table and the row. Only the process that has opened the
/// OutputDirectory writes; any number of processes may read meanwhile.
class Store {
 public:
  enum class Access { kWrite, kRead };
  /// For writing; creates the file if it does not exist.
  explicit Store(const std::filesystem::path& directory, Access access = Access::kWrite);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  static bool exists(const std::filesystem::path& directory);

  /// Adds rows with status "pending" for new points. Throws Error if the file has a point of the
  /// same name with another configuration.
  void add(const std::vector<SweepPoint>& points);
  void record(const std::string& point, const Outcome& outcome);
  /// Makes failed points pending again.
  void forget_failures();
  void record_time(const std::string& task, double seconds);

  /// All rows, sorted by name.
  std::vector<StoredPoint> points() const;
  /// The settings of a row as JSON.
  nlohmann::json config_of(const StoredPoint& point) const;
  std::optional<double> time_of(const std::string& task) const;

  /// Records what determines the measurements, or, if that has been recorded, throws Error naming
  /// the first value that differs.
  void require_identity(const nlohmann::json& identity);

  /// The measurements of a candidate as JSON text.
  std::optional<std::string> proxy(const std::string& scope, const std::string& genome) const;
  void record_proxy(const std::string& scope, const std::string& genome,
                    const std::string& measures);
  /// The file, table and row of these measurements, for errors.
  std::string place_of_proxy(const std::string& scope, const std::string& genome) const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::search
