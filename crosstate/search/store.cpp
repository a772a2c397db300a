#include "crosstate/search/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/format.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"
#include "crosstate/train/identity.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFile = "sweep.sqlite";
constexpr FileFormat kFormat("crosstate sweep", 1);
constexpr const char* kVersion = "1";  // version of kFormat, as stored in the database

[[noreturn]] void fail_sqlite(sqlite3* database, const std::string& path) {
  fail(path, std::string(sqlite3_errmsg(database)) + " (SQLite)");
}

class Statement {
 public:
  Statement(sqlite3* database, const std::string& path, const std::string& text)
      : database_(database), path_(path) {
    if (sqlite3_prepare_v2(database, text.c_str(), -1, &statement_, nullptr) != SQLITE_OK) {
      fail_sqlite(database, path);
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text) {
    const int size = static_cast<int>(text.size());
    return check(sqlite3_bind_text(statement_, ++bound_, text.data(), size, SQLITE_TRANSIENT));
  }
  /// NULL for NaN.
  Statement& bind(double number) {
    return check(std::isnan(number) ? sqlite3_bind_null(statement_, ++bound_)
                                    : sqlite3_bind_double(statement_, ++bound_, number));
  }
  /// Whether there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail_sqlite(database_, path_);
    return code == SQLITE_ROW;
  }
  std::string text(int column) const {
    const auto* bytes = sqlite3_column_text(statement_, column);
    return bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes);
  }
  double number(int column) const {
    const bool null = sqlite3_column_type(statement_, column) == SQLITE_NULL;
    return null ? std::numeric_limits<double>::quiet_NaN()
                : sqlite3_column_double(statement_, column);
  }

 private:
  Statement& check(int code) {
    if (code != SQLITE_OK) fail_sqlite(database_, path_);
    return *this;
  }
  sqlite3* database_;
  const std::string& path_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

// Whether the file system supports the locks that SQLite uses to separate readers from the writer.
// Without them only a reader during a write may see an inconsistent file.
bool locks_records(const fs::path& directory) {
  const int folder = open(directory.c_str(), O_RDONLY | O_CLOEXEC);
  if (folder < 0) return true;  // opening the database reports the reason
  struct flock whole = {};
  whole.l_type = F_RDLCK;
  const bool refused = fcntl(folder, F_GETLK, &whole) != 0 &&
                       (errno == ENOSYS || errno == ENOLCK || errno == EOPNOTSUPP);
  close(folder);
  return !refused;
}

std::string metric_columns(const std::string& ending) {
  std::string text;
  for (const std::string& name : metric_names()) text += ", " + name + ending;
  return text;
}

// A stored value. What is damaged does not belong to the present inputs either.
json stored(const std::string& text, const std::string& where) {
  json value = try_parse_json(text);
  if (value.is_object()) return value;
  throw CannotContinue(where + ": expected a JSON object, found \"" + excerpt(text) + '"');
}

}  // namespace

struct Store::Inside {
  std::string path;
  sqlite3* database = nullptr;

  Inside(const fs::path& directory, Access access) : path((directory / kFile).string()) {
    // Even reading may have to roll back the transaction of a killed writer.
    const int flags = SQLITE_OPEN_READWRITE | (access == Access::kWrite ? SQLITE_OPEN_CREATE : 0);
    const char* const system = locks_records(directory) ? nullptr : "unix-none";
    if (sqlite3_open_v2(path.c_str(), &database, flags, system) != SQLITE_OK) {
      const std::string message = sqlite3_errmsg(database);
      sqlite3_close(database);
      fail(path, message + " (SQLite)");
    }
  }
  ~Inside() { sqlite3_close(database); }

  Statement statement(const std::string& text) const { return {database, path, text}; }
  void run(const std::string& text) const { statement(text).step(); }

  template <class F>
  void transaction(F body) const {
    run("BEGIN IMMEDIATE");
    try {
      body();
      run("COMMIT");
    } catch (...) {
      sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  // Checked before anything is changed. A new file has no tables yet.
  void require_format() const {
    if (!statement("SELECT 1 FROM sqlite_master WHERE name = 'meta'").step()) return;
    const std::string version = meta("format");
    if (!version.empty()) kFormat.version_of("crosstate sweep " + version, path);
  }

  void create_tables() const {
    run("PRAGMA synchronous = FULL");
    transaction([&] {
      run("CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID");
      run("CREATE TABLE IF NOT EXISTS points(point TEXT PRIMARY KEY, status TEXT NOT NULL, error "
          "TEXT NOT NULL, config TEXT NOT NULL" +
          metric_columns(" REAL") + ") WITHOUT ROWID");
      run("CREATE TABLE IF NOT EXISTS times(task TEXT PRIMARY KEY, seconds REAL) WITHOUT ROWID");
      run("CREATE TABLE IF NOT EXISTS proxies(scope TEXT, genome TEXT, measures TEXT, PRIMARY "
          "KEY(scope, genome)) WITHOUT ROWID");
      const std::set<std::string> there = columns();
      for (const std::string& metric : metric_names()) {
        if (!there.contains(metric)) {
          run("ALTER TABLE points ADD COLUMN " + metric + " REAL");
        }
      }
      run(std::string("INSERT OR IGNORE INTO meta VALUES('format', '") + kVersion + "')");
    });
  }

  // Columns of the points; files of earlier versions lack some metrics.
  std::set<std::string> columns() const {
    std::set<std::string> names;
    Statement table = statement("SELECT name FROM pragma_table_info('points')");
    while (table.step()) names.insert(table.text(0));
    return names;
  }

  // `row` is a row of `table`, for example "point a=1".
  std::string place(const std::string& table, const std::string& row) const {
    return path + ": table " + table + ", " + row;
  }

  json config(const std::string& text, const std::string& point) const {
    return stored(text, place("points", "config of " + point));
  }

  std::string meta(const std::string& key) const {
    Statement find = statement("SELECT value FROM meta WHERE key = ?");
    return find.bind(key).step() ? find.text(0) : "";
  }
};

Store::Store(const fs::path& directory, Access access)
    : inside_(std::make_unique<Inside>(directory, access)) {
  sqlite3_busy_timeout(inside_->database, 60'000);  // ms; readers beside a writer
  inside_->require_format();
  if (access == Access::kWrite) inside_->create_tables();
}

Store::~Store() = default;

bool Store::exists(const fs::path& directory) {
  std::error_code unreadable;  // opening reports the reason
  return fs::exists(directory / kFile, unreadable);
}

void Store::add(const std::vector<SweepPoint>& points) {
  inside_->transaction([&] {
    for (const SweepPoint& point : points) {
      Statement find = inside_->statement("SELECT config FROM points WHERE point = ?");
      if (find.bind(point.name).step()) {
        const json found = inside_->config(find.text(0), point.name);
        const json expected = parse_json(point.config);
        require_same(train::in_this_version(found, expected), expected,
                     inside_->path + ": point " + point.name);
        continue;
      }
      Statement insert = inside_->statement(
          "INSERT INTO points(point, status, error, config) VALUES(?, 'pending', '', ?)");
      insert.bind(point.name).bind(point.config).step();
    }
  });
}

void Store::record(const std::string& point, const Outcome& outcome) {
  Statement update = inside_->statement("UPDATE points SET status = ?, error = ?" +
                                        metric_columns(" = ?") + " WHERE point = ?");
  update.bind(name_of(outcome.status)).bind(outcome.error);
  for (const std::string& metric : metric_names()) update.bind(outcome.metric(metric));
  update.bind(point);
  inside_->transaction([&] {
    update.step();
    record_time("point " + point, outcome.seconds);
  });
}

void Store::forget_failures() {
  inside_->run("UPDATE points SET status = 'pending', error = '' WHERE status = 'failed'");
}

void Store::record_time(const std::string& task, double seconds) {
  inside_->statement("INSERT OR REPLACE INTO times VALUES(?, ?)").bind(task).bind(seconds).step();
}

std::vector<StoredPoint> Store::points() const {
  const std::set<std::string> there = inside_->columns();
  std::string names;
  for (const std::string& metric : metric_names()) {
    names += ", " + (there.contains(metric) ? metric : std::string("NULL"));
  }
  Statement all = inside_->statement("SELECT point, config, status, error" + names +
                                     " FROM points ORDER BY point");
  std::vector<StoredPoint> rows;
  while (all.step()) {
    StoredPoint& row = rows.emplace_back();
    row.name = all.text(0);
    row.config = all.text(1);
    row.outcome.status =
        named(kNames<PointStatus>, all.text(2), inside_->path + ": status of " + row.name);
    row.outcome.error = all.text(3);
    int column = 4;
    for (const std::string& metric : metric_names()) {
      const double value = all.number(column++);
      if (!std::isnan(value)) row.outcome.metrics[metric] = value;
    }
    row.outcome.seconds = time_of("point " + row.name).value_or(0);
  }
  return rows;
}

json Store::config_of(const StoredPoint& point) const {
  return inside_->config(point.config, point.name);
}

std::optional<double> Store::time_of(const std::string& task) const {
  Statement find = inside_->statement("SELECT seconds FROM times WHERE task = ?");
  if (!find.bind(task).step()) return std::nullopt;
  return find.number(0);
}

void Store::require_identity(const json& identity) {
  const std::string found = inside_->meta("identity");
  if (!found.empty()) {
    require_same(stored(found, inside_->place("meta", "identity")), identity, inside_->path);
    return;
  }
  inside_->statement("INSERT INTO meta VALUES('identity', ?)")
      .bind(exact_json_text(identity))
      .step();
}

std::optional<std::string> Store::proxy(const std::string& scope, const std::string& genome) const {
  Statement find =
      inside_->statement("SELECT measures FROM proxies WHERE scope = ? AND genome = ?");
  if (!find.bind(scope).bind(genome).step()) return std::nullopt;
  return find.text(0);
}

void Store::record_proxy(const std::string& scope, const std::string& genome,
                         const std::string& measures) {
  inside_->statement("INSERT OR REPLACE INTO proxies VALUES(?, ?, ?)")
      .bind(scope)
      .bind(genome)
      .bind(measures)
      .step();
}

std::string Store::place_of_proxy(const std::string& scope, const std::string& genome) const {
  return inside_->place("proxies", "scope \"" + scope + "\", genome \"" + genome + '"');
}

}  // namespace crosstate::search
