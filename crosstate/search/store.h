// The results of a sweep in one SQLite file, which stays consistent if the process is killed.
#pragma once

#include <filesystem>
#include <memory>
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
/// - points: one row per point, keyed by its name, in that order whatever was finished first:
///   point, status, error, config (JSON) and a column per metric; nothing that depends on the
///   machine or the time;
/// - times: task ("point ..." or "float ...") and its seconds of work;
/// - proxies: of a search, the proxy measures of a candidate (JSON), keyed by scope and genome;
/// - meta: key and value.
/// Every call is one transaction (rollback journal, synchronous = FULL). Throws Error naming the
/// file. One process writes, which has opened the OutputDirectory. Any number may read meanwhile.
class Store {
 public:
  enum class Access { kWrite, kRead };
  /// To write, creates the file if there is none.
  explicit Store(const std::filesystem::path& directory, Access access = Access::kWrite);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  static bool exists(const std::filesystem::path& directory);

  /// Adds rows of status "pending" for points that it does not hold. Throws Error when it holds a
  /// point of the same name and another configuration.
  void add(const std::vector<SweepPoint>& points);
  void record(const std::string& point, const Outcome& outcome);
  /// Makes failed points pending again.
  void forget_failures();
  void record_time(const std::string& task, double seconds);

  /// Every row, sorted by name.
  std::vector<StoredPoint> points() const;
  std::optional<double> time_of(const std::string& task) const;

  /// The proxy measures of a candidate of a search as JSON text.
  std::optional<std::string> proxy(const std::string& scope, const std::string& genome) const;
  void record_proxy(const std::string& scope, const std::string& genome,
                    const std::string& measures);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::search
