#include "crosstate/search/plan.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <tuple>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/toml.h"
#include "crosstate/data/safetensors.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/search/pareto.h"

namespace crosstate {
namespace {

using nlohmann::json;

constexpr std::size_t kMostPoints = 10'000, kMostBytes = 1 << 20;

// --- values with their lines
// ---------------------------------------------------------------------------------------

struct Leaf {
  std::string key;
  json value;  // scalar, array of scalars, or {} for a section without values
  std::string where;
};

json scalar(const toml::node& node, const std::string& where) {
  if (const auto flag = node.value_exact<bool>()) return *flag;
  if (const auto integer = node.value_exact<std::int64_t>()) return *integer;
  if (const auto number = node.value_exact<double>()) return *number;
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (!node.is_array()) fail(where, "a date or time, expected a number, text, true or false");
  json list = json::array();
  for (const toml::node& item : *node.as_array()) {
    if (item.is_array() || item.is_table()) fail(where, "expected a list of plain values");
    list.push_back(scalar(item, where));
  }
  return list;
}

// In the order of the file: toml++ sorts by name.
std::vector<Leaf> leaves(const toml::table& table, const std::string& path,
                         const std::string& section = "") {
  std::vector<std::pair<toml::source_position, Leaf>> found;
  for (const auto& [name, node] : table) {
    const std::string key =
        section.empty() ? std::string(name.str()) : section + '.' + std::string(name.str());
    const std::string where = toml_place(path, name.source());
    const toml::table* inner = node.as_table();
    if (inner == nullptr || inner->empty()) {
      found.push_back({name.source().begin,
                       {key, inner == nullptr ? scalar(node, where) : json::object(), where}});
      continue;
    }
    for (Leaf& leaf : leaves(*inner, path, key)) {
      found.push_back({name.source().begin, std::move(leaf)});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.line, a.first.column) < std::tie(b.first.line, b.first.column);
  });
  std::vector<Leaf> sorted;
  for (auto& item : found) sorted.push_back(std::move(item.second));
  return sorted;
}

json::json_pointer pointer(const std::string& key) {
  std::string path = '/' + key;
  std::replace(path.begin(), path.end(), '.', '/');
  return json::json_pointer(path);
}

void assign(FieldList& list, const Leaf& leaf, const json& value) {
  if (leaf.key.find_first_of("/~") != std::string::npos) {
    fail(leaf.where, "unknown key \"" + excerpt(leaf.key) + '"');
  }
  json object;
  object[pointer(leaf.key)] = value;
  list.from_json(object, leaf.where);
}

void set_key(RunOptions& options, const Leaf& leaf, const json& value) {
  FieldList list = options.fields();
  assign(list, leaf, value);
}

// --- hashes and texts
// ---------------------------------------------------------------------------------------

// FNV-1a, 64 bits.
std::string hash_text(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

// Of the float training that a point with this configuration starts from.
std::string parent_name(const json& config) {
  json shared = {{"seed", config.at("run").at("seed")}};
  for (const char* section : {"data", "front_end", "augment", "model", "train"}) {
    shared[section] = config.at(section);
  }
  return hash_text(shared.dump());
}

std::string value_text(const json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  const bool plain = !text.empty() && text.find_first_of(" =\"") == std::string::npos;
  return plain ? text : value.dump();
}

// --- the parts of the file
// ---------------------------------------------------------------------------------------

// What the lists of [grid] multiply to; the last key varies fastest.
void add_grid(SweepPlan& plan, const RunOptions& base, const toml::table& table,
              const std::string& path) {
  const std::vector<Leaf> axes = leaves(table, path);
  std::size_t count = 1;
  for (const Leaf& axis : axes) {
    if (!axis.value.is_array() || axis.value.empty()) {
      fail(axis.where, "grid: " + excerpt(axis.key) + " = " + excerpt(axis.value.dump()) +
                           ", expected a list of one or more values");
    }
    count *= axis.value.size();
    if (count > kMostPoints) {
      fail(axis.where, "grid: more than " + std::to_string(kMostPoints) + " points");
    }
    for (const json& value : axis.value) {  // each is an error of its own line
      RunOptions probe = base;
      set_key(probe, axis, value);
    }
    plan.varied.push_back(axis.key);
  }
  RunOptions options = base;
  FieldList list = options.fields();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      assign(list, *axis, axis->value[rest % axis->value.size()]);
      rest /= axis->value.size();
    }
    add_point(plan, options, plan.varied, toml_place(path, table.source()));
  }
}

void add_list(SweepPlan& plan, const RunOptions& base, const toml::node& node,
              const std::string& path) {
  const toml::table* table = node.as_table();
  const std::string where = toml_place(path, node.source());
  if (table == nullptr) fail(where, "list: expected tables, each headed [[list]]");
  RunOptions options = base;
  std::vector<std::string> keys;
  for (const Leaf& leaf : leaves(*table, path)) {
    set_key(options, leaf, leaf.value);
    keys.push_back(leaf.key);
    if (std::find(plan.varied.begin(), plan.varied.end(), leaf.key) == plan.varied.end()) {
      plan.varied.push_back(leaf.key);
    }
  }
  add_point(plan, options, keys, where);
}

// Where the text of a setting is that is checked once all of it is read.
std::string place_of(const std::string& key, const std::vector<Leaf>& settings,
                     const SweepOverrides& overrides, const std::string& path) {
  const auto& outside = overrides.keys;
  if (std::find(outside.begin(), outside.end(), key) != outside.end()) return "options";
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [&](const Leaf& leaf) { return leaf.key == key; });
  return found == settings.end() ? path : found->where;
}

void require_series(const std::string& series, RunOptions& base, const std::string& where) {
  if (series.empty() || series == "stage") return;
  const FieldList list = base.fields();
  const bool known = std::any_of(list.all().begin(), list.all().end(),
                                 [&](const Field& field) { return field.key == series; });
  if (!known) {
    fail(where, "sweep.series = \"" + excerpt(series) +
                    "\", expected a key such as quant.preset, "
                    "\"stage\" or nothing");
  }
}

// A key that is set from outside and by points would be one of two things.
void require_apart(const SweepPlan& plan, const std::vector<std::string>& keys,
                   const std::string& path) {
  for (const std::string& key : keys) {
    if (std::find(plan.varied.begin(), plan.varied.end(), key) == plan.varied.end()) continue;
    fail(path, key + " varies in this sweep, so the command line cannot set it as well");
  }
}

}  // namespace

void fields(FieldList& list, SweepSettings& settings) {
  list.section("sweep");
  list.add("name", settings.name, "Title of the report.");
  list.add("base", settings.base,
           "Configuration that every point starts from, relative to the sweep file; empty: the "
           "defaults.");
  list.add("series", settings.series,
           "What one line of the plot is: a key such as quant.preset, \"stage\" for post-training "
           "and quantization-aware training, or empty for all points in one.");
  list.add("objectives", settings.objectives,
           "What the front is about: columns of the results, each min or max; the first two are "
           "the axes of the plot.");
  list.add("threads", settings.threads, "Threads of each point; raise it for few, long runs.")
      .range(1, 1024);
  list.add("patience", settings.patience,
           "Silence after which a process of another rank counts as dead and its point goes to "
           "another.")
      .in("s")
      .range(2, 3600);
}

json run_config(const RunOptions& options) {
  RunOptions copy = options;
  json config = copy.fields().to_json();
  config.at("data").erase("directory");
  config.at("train").erase("log_every");
  config.at("qat").erase("log_every");
  return config;
}

std::string SweepPlan::value_of(const SweepPoint& point, const std::string& key) const {
  return value_text(point.all.at(pointer(key)));
}

std::string SweepPlan::values_of(const SweepPoint& point,
                                 const std::vector<std::string>& keys) const {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : " ") + value_of(point, key);
  return text;
}

std::string SweepPlan::digest() const {
  std::string all;
  for (const SweepPoint& point : points) all += point.name + point.config;
  return hash_text(all);
}

void add_point(SweepPlan& plan, const RunOptions& options,
               const std::vector<std::string>& varied_keys, const std::string& where) {
  SweepPoint point;
  point.options = options;
  point.all = point.options.fields().to_json();
  const std::set<std::string> keys(varied_keys.begin(), varied_keys.end());
  for (const std::string& key : keys) {
    point.values.emplace_back(key, plan.value_of(point, key));
    point.name += (point.name.empty() ? "" : " ") + key + '=' + point.values.back().second;
  }
  try {
    validate(options);
  } catch (const Error& error) {
    fail(where, "point " + excerpt(point.name, 200) + ": " + error.what());
  }
  json config = plan.identity ? plan.identity(options) : run_config(options);
  if (keys.contains("data.directory")) config["data"]["directory"] = options.data.directory;
  point.config = config.dump();
  const auto same_run = [&](const SweepPoint& other) { return other.config == point.config; };
  if (std::any_of(plan.points.begin(), plan.points.end(), same_run)) return;
  if (options.start.empty()) {
    SweepParent parent;
    parent.options = options;
    parent.options.quantize = parent.options.prune_float = parent.options.on_crossbar = false;
    parent.name = parent_name(config);
    const auto same = [&](const SweepParent& other) { return other.name == parent.name; };
    const auto found = std::find_if(plan.parents.begin(), plan.parents.end(), same);
    point.parent = static_cast<int>(found - plan.parents.begin());
    if (found == plan.parents.end()) plan.parents.push_back(std::move(parent));
  }
  plan.points.push_back(std::move(point));
}

std::vector<std::filesystem::path> start_files(const SweepPlan& plan) {
  std::set<std::filesystem::path> files;
  for (const SweepPoint& point : plan.points) files.insert(point.options.start);
  return {files.begin(), files.end()};
}

void identify(SweepPlan& plan) {
  const auto content = std::make_shared<RunIdentity>();
  plan.identity = [content](const RunOptions& options) {
    return content->settings_and_data(options);
  };
  for (SweepPoint& point : plan.points) {
    json config = plan.identity(point.options);
    const bool varied = std::any_of(point.values.begin(), point.values.end(), [](const auto& item) {
      return item.first == "data.directory";
    });
    if (varied) config["data"]["directory"] = point.options.data.directory;
    point.config = config.dump();
    if (point.parent < 0) continue;
    plan.parents[static_cast<std::size_t>(point.parent)].name = parent_name(config);
  }
}

SweepPlan read_plan(const std::string& path, const SweepOverrides& overrides) {
  const toml::table file = parse_toml_table(read_file(path, kMostBytes), path);
  SweepPlan plan;
  RunOptions base;
  FieldList list = base.fields();
  fields(list, plan.settings);
  overrides.before(list);

  toml::table sections = file;
  sections.erase("grid");
  sections.erase("list");
  const std::vector<Leaf> settings = leaves(sections, path);
  for (const Leaf& leaf : settings) {
    if (leaf.key == "sweep.base") assign(list, leaf, leaf.value);
  }
  if (!plan.settings.base.empty()) {
    const std::filesystem::path named = plan.settings.base;
    const std::filesystem::path at = std::filesystem::path(path).parent_path() / named;
    list.read_toml(at.string());
  }
  for (const Leaf& leaf : settings) assign(list, leaf, leaf.value);
  overrides.after(list);
  const auto place = [&](const char* key) { return place_of(key, settings, overrides, path); };
  require_series(plan.settings.series, base, place("sweep.series"));
  parse_objectives(plan.settings.objectives, "sweep.objectives", place("sweep.objectives"));

  if (const toml::node* grid = file.get("grid")) {
    if (!grid->is_table()) fail(toml_place(path, grid->source()), "grid: expected a table, [grid]");
    add_grid(plan, base, *grid->as_table(), path);
  }
  if (const toml::node* points = file.get("list")) {
    if (!points->is_array()) {
      fail(toml_place(path, points->source()), "list: expected tables, each headed [[list]]");
    }
    for (const toml::node& node : *points->as_array()) add_list(plan, base, node, path);
  }
  if (plan.points.empty()) fail(path, "no points, expected a table [grid] or tables [[list]]");
  require_apart(plan, overrides.keys, path);
  return plan;
}

void require_inputs(const SweepPlan& plan) {
  std::set<std::string> directories, starts;
  for (const SweepPoint& point : plan.points) {
    directories.insert(point.options.data.directory);
    const bool varied = std::any_of(point.values.begin(), point.values.end(),
                                    [](const auto& item) { return item.first == "run.start"; });
    if (!varied) starts.insert(point.options.start);
  }
  directories.erase("");
  starts.erase("");
  for (const std::string& directory : directories) {
    std::error_code ignored;
    if (std::filesystem::is_directory(directory, ignored)) continue;
    fail("options", "data.directory = \"" + excerpt(directory, 400) +
                        "\": no such directory, expected one with MNIST files or recordings");
  }
  for (const std::string& start : starts) {
    try {
      read_safetensors(start);
    } catch (const Error& error) {
      fail("options", std::string("run.start = ") + error.what());
    }
  }
}

}  // namespace crosstate
