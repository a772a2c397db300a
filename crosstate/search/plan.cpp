#include "crosstate/search/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <unordered_map>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/threads.h"
#include "crosstate/base/toml.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/run.h"
#include "crosstate/pipeline/stages.h"
#include "crosstate/search/outcome.h"
#include "crosstate/search/pareto.h"
#include "crosstate/train/identity.h"

namespace crosstate::search {
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
  if (!node.is_array()) fail(where, "a date or time, expected a number, a string, true or false");
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

// The settings of points: all settings of a run.
FieldList point_fields(pipeline::RunOptions& options) {
  FieldList list = options.fields();
  list.use_only(pipeline::run_settings(), "crosstate sweep");
  return list;
}

void set_key(FieldList& list, const Leaf& leaf, const json& value) {
  assign(list, leaf, value);
  list.require_used(leaf.key, leaf.where);
}

// --- hashes and texts
// ---------------------------------------------------------------------------------------

std::string hash_text(const std::string& text) {
  Fnv1a<std::uint64_t> hash;
  hash.add(text);
  return hash.text();
}

// The name of the float training from which a point with this configuration starts.
std::string parent_name(const json& config) {
  std::vector<std::string> keys = pipeline::float_training_settings();
  keys.push_back("train.");
  json shared = pipeline::selected(config, keys);
  shared["seed"] = config.at("run").at("seed");
  return hash_text(exact_json_text(train::as_before(std::move(shared))));
}

std::string value_text(const json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    return exact_text(value.get<double>());  // JSON has no such numbers
  }
  if (!value.is_string()) return exact_json_text(value);
  const auto& text = value.get_ref<const std::string&>();
  const bool plain = !text.empty() && text.find_first_of(" =\"") == std::string::npos;
  return plain ? text : exact_json_text(value);
}

// --- points
// ---------------------------------------------------------------------------------------

bool same_value(const Field& a, const Field& b) { return a.current() == b.current(); }

// The section for which validate_section() checks a key; "" for a key without such checks.
std::string checked_section(const std::string& key) {
  const std::string section = key.substr(0, key.find('.'));
  if (section == "crossbar" || section == "wires" || section == "external") return "device";
  return section == "run" ? "" : section;
}

// Adds points to a plan. Ten thousand of them must take negligible time, so from one point to the
// next only changed values are written and checked.
class Points {
 public:
  explicit Points(SweepPlan& plan)
      : plan_(plan), list_(now_.fields()), written_list_(written_.fields()) {
    config_ = run_config(written_);
    for (const Field& field : list_.all()) {
      const json::json_pointer at = pointer(field.key);
      slots_.push_back(config_.contains(at) ? &config_[at] : nullptr);
    }
    for (std::size_t i = 0; i < plan.points.size(); ++i) remember(i);
    for (std::size_t i = 0; i < plan.parents.size(); ++i) parents_[plan.parents[i].name] = i;
  }
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;

  void add(const pipeline::RunOptions& options, const std::vector<std::string>& varied_keys,
           const std::string& where) {
    write(options);
    SweepPoint point;
    const std::set<std::string> keys(varied_keys.begin(), varied_keys.end());
    for (const std::string& key : keys) {
      point.values.emplace_back(key, value_text(list_.find(key)->current()));
      point.name += (point.name.empty() ? "" : " ") + key + '=' + point.values.back().second;
    }
    try {
      check();
    } catch (const Error& error) {
      fail(where, "point " + excerpt(point.name, 200) + ": " + error.what());
    }
    json identity;
    if (plan_.identity) identity = plan_.identity(options);
    json& config = plan_.identity ? identity : config_;
    json& data = config.at("data");
    if (keys.contains("data.directory")) data["directory"] = options.data.directory;
    point.config = exact_json_text(config);
    if (!is_known(point.config)) {
      point.options = options;
      if (options.start.empty()) point.parent = parent(config);
      plan_.points.push_back(std::move(point));
      remember(plan_.points.size() - 1);
    }
    data.erase("directory");
  }

 private:
  void write(const pipeline::RunOptions& options) {
    now_ = options;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const Field& field = list_.all()[i];
      if (same_value(field, written_list_.all()[i])) continue;
      if (slots_[i] != nullptr) *slots_[i] = field.current();
      const std::string section = checked_section(field.key);
      if (!first_ && !section.empty()) varied_[section].insert(i);
    }
    written_ = now_;
  }

  // A section whose values have been valid before is not checked again.
  void check() {
    if (first_) {
      pipeline::validate(now_);
      first_ = false;
      return;
    }
    for (const auto& [section, fields] : varied_) {
      std::string values = section;
      for (const std::size_t i : fields) {
        values += '\n' + std::to_string(i) + ' ' + exact_json_text(list_.all()[i].current());
      }
      if (checked_.contains(values)) continue;
      pipeline::validate_section(now_, section);
      checked_.insert(values);
    }
    pipeline::validate_together(now_);
  }

  bool is_known(const std::string& config) const {
    const auto [first, last] = points_.equal_range(std::hash<std::string>()(config));
    return std::any_of(
        first, last, [&](const auto& item) { return plan_.points[item.second].config == config; });
  }
  void remember(std::size_t index) {
    points_.emplace(std::hash<std::string>()(plan_.points[index].config), index);
  }

  // The float training from which the current point with this configuration starts.
  int parent(const json& config) {
    const std::string name = parent_name(config);
    const auto [found, is_new] = parents_.try_emplace(name, plan_.parents.size());
    if (is_new) {
      pipeline::RunOptions& options = plan_.parents.emplace_back(SweepParent{name, now_}).options;
      options.quantize = options.prune_float = options.on_crossbar = false;
    }
    return static_cast<int>(found->second);
  }

  SweepPlan& plan_;
  pipeline::RunOptions now_, written_;
  FieldList list_, written_list_;  // of these options
  json config_;                    // run_config() of `written_`
  std::vector<json*> slots_;       // places of its fields; null: not in it
  bool first_ = true;
  std::map<std::string, std::set<std::size_t>> varied_;  // by section: fields
  std::set<std::string> checked_;                        // sections with values that were checked
  std::unordered_multimap<std::size_t, std::size_t> points_;  // by hash of SweepPoint::config
  std::unordered_map<std::string, std::size_t> parents_;      // by name
};

// --- the parts of the file
// ---------------------------------------------------------------------------------------

// The places of keys that have no effect in any point.
using Places = std::map<std::string, std::string>;

// The Cartesian product of the lists of [grid]; the last key varies fastest.
void add_grid(SweepPlan& plan, Points& points, const pipeline::RunOptions& base,
              const toml::table& table, const std::string& path, Places& places) {
  const std::vector<Leaf> axes = leaves(table, path);
  std::size_t count = 1;
  pipeline::RunOptions probe = base;
  FieldList probe_list = point_fields(probe);
  for (const Leaf& axis : axes) {
    if (!axis.value.is_array() || axis.value.empty()) {
      fail(axis.where, "grid: " + excerpt(axis.key) + " = " + excerpt(value_text(axis.value)) +
                           ", expected a list of one or more values");
    }
    count *= axis.value.size();
    if (count > kMostPoints) {
      fail(axis.where, "grid: more than " + std::to_string(kMostPoints) + " points");
    }
    for (const json& value : axis.value) set_key(probe_list, axis, value);  // of its own line
    plan.varied.push_back(axis.key);
    places[axis.key] = axis.where;
  }
  pipeline::RunOptions options = base;
  FieldList list = point_fields(options);
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      assign(list, *axis, axis->value[rest % axis->value.size()]);
      rest /= axis->value.size();
    }
    points.add(options, plan.varied, toml_place(path, table.source()));
  }
}

void add_list(SweepPlan& plan, Points& points, const pipeline::RunOptions& base,
              const toml::node& node, const std::string& path, Places& places) {
  const toml::table* table = node.as_table();
  const std::string where = toml_place(path, node.source());
  if (table == nullptr) fail(where, "list: expected tables, each headed [[list]]");
  pipeline::RunOptions options = base;
  FieldList list = point_fields(options);
  std::vector<std::string> keys;
  for (const Leaf& leaf : leaves(*table, path)) {
    set_key(list, leaf, leaf.value);
    keys.push_back(leaf.key);
    places.try_emplace(leaf.key, leaf.where);
    if (std::find(plan.varied.begin(), plan.varied.end(), leaf.key) == plan.varied.end()) {
      plan.varied.push_back(leaf.key);
    }
  }
  points.add(options, keys, where);
}

// Whether a point sets a key itself.
bool sets(const toml::table& file, const std::string& key, const std::string& path) {
  const auto has = [&](const toml::node* node) {
    if (node == nullptr || !node->is_table()) return false;
    const std::vector<Leaf> all = leaves(*node->as_table(), path);
    return std::any_of(all.begin(), all.end(), [&](const Leaf& leaf) { return leaf.key == key; });
  };
  if (has(file.get("grid"))) return true;
  const toml::node* list = file.get("list");
  return list != nullptr && list->is_array() &&
         std::any_of(list->as_array()->begin(), list->as_array()->end(),
                     [&](const toml::node& node) { return has(&node); });
}

void require_directory(const std::string& directory) {
  std::error_code ignored;
  if (directory.empty() || std::filesystem::is_directory(directory, ignored)) return;
  fail("options", "data.directory = \"" + excerpt(directory, 400) +
                      "\": no such directory, expected one with MNIST files or recordings");
}

// Checks networks in files, each once for all points that ask the same of it.
class GivenNetworkCheck {
 public:
  explicit GivenNetworkCheck(int threads) : pool_(threads) {}

  void require(const pipeline::RunOptions& options) {
    if (options.start.empty() && (!options.quantize || options.qat.teacher.empty())) return;
    pipeline::RunOptions copy = options;
    const json config = copy.fields().to_json();
    std::vector<std::string> keys = {"data.", "front_end.", "model.readout"};
    // The scales of other outputs are those of the targets that are not held out.
    if (&task_of(options) != &task::classification()) {
      keys.insert(keys.end(), {"train.validation", "run.seed"});
    }
    const std::string data = exact_json_text(pipeline::selected(config, keys));
    keys.insert(keys.end(),
                {"model.", "run.start", "run.quantize", "qat.teacher", "qat.distill_streams"});
    if (!checked_.insert(exact_json_text(pipeline::selected(config, keys))).second) return;
    const pipeline::GivenNetworks given = pipeline::read_given_networks(options);
    const Data& of_run = data_of(std::move(copy), data);
    pipeline::require_same_data(given, of_run.shape, of_run.preparation);
  }

 private:
  struct Data {
    model::TaskShape shape;
    inference::Preparation preparation;
  };

  const Data& data_of(pipeline::RunOptions options, const std::string& key) {
    const auto known = data_.find(key);
    if (known != data_.end()) return known->second;
    options.augment = {};  // takes memory and changes neither
    pipeline::RunData data = pipeline::load_run_data(options, pool_);
    const model::TaskShape shape{static_cast<int>(data.training.channels),
                                 static_cast<int>(data.training.readout.outputs())};
    return data_.emplace(key, Data{shape, std::move(data.preparation)}).first->second;
  }

  ThreadPool pool_;
  std::set<std::string> checked_;
  std::map<std::string, Data> data_;
};

// Place of a setting's text that is checked after all of it has been read.
std::string place_of(const std::string& key, const std::vector<Leaf>& settings,
                     const SweepOverrides& overrides, const std::string& path) {
  const auto& outside = overrides.keys;
  if (std::find(outside.begin(), outside.end(), key) != outside.end()) return "options";
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [&](const Leaf& leaf) { return leaf.key == key; });
  return found == settings.end() ? path : found->where;
}

void require_series(const std::string& series, pipeline::RunOptions& base,
                    const std::string& where) {
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

// A key set both on the command line and by points would be ambiguous.
void require_apart(const SweepPlan& plan, const std::vector<std::string>& keys,
                   const std::string& path) {
  for (const std::string& key : keys) {
    if (std::find(plan.varied.begin(), plan.varied.end(), key) == plan.varied.end()) continue;
    fail(path, key + " varies in this sweep and cannot be set on the command line as well");
  }
}

}  // namespace

void fields(FieldList& list, SweepSettings& settings) {
  list.section("sweep");
  list.add("name", settings.name, "Title of the report.");
  list.add("base", settings.base,
           "Configuration file from which every point starts, relative to the sweep file; empty: "
           "the defaults.");
  list.add("series", settings.series,
           "Key whose values define the lines of the plot, such as quant.preset; \"stage\" for "
           "post-training and quantization-aware training; empty: all points in one line.");
  list.add("objectives", settings.objectives,
           "Objectives of the Pareto front: columns of the results, each with min or max; the "
           "first two are the axes of the plot.");
  list.add("threads", settings.threads, "Threads per point; more for few, long runs.")
      .range(1, 1024);
  list.add("patience", settings.patience,
           "Time without a heartbeat after which another rank counts as dead and its point goes to "
           "another.")
      .in("s")
      .range(2, 3600);
}

json run_config(const pipeline::RunOptions& options) {
  pipeline::RunOptions copy = options;
  json config = copy.fields().to_json();
  config.at("data").erase("directory");
  config.at("train").erase("log_every");
  config.at("qat").erase("log_every");
  return config;
}

std::string SweepPlan::value_of(const SweepPoint& point, const std::string& key) const {
  for (const auto& [own, text] : point.values) {
    if (own == key) return text;
  }
  pipeline::RunOptions options = point.options;
  const Field* field = options.fields().find(key);
  return field == nullptr ? "" : value_text(field->current());
}

std::string SweepPlan::values_of(const SweepPoint& point,
                                 const std::vector<std::string>& keys) const {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : " ") + value_of(point, key);
  return text;
}

std::string SweepPlan::digest() const {
  Fnv1a<std::uint64_t> hash;
  for (const SweepPoint& point : points) {
    hash.add(point.name);
    hash.add(exact_json_text(train::as_before(parse_json(point.config))));
  }
  return hash.text();
}

void add_point(SweepPlan& plan, const pipeline::RunOptions& options,
               const std::vector<std::string>& varied_keys, const std::string& where) {
  Points(plan).add(options, varied_keys, where);
}

std::string idle_reason_in_plan(const SweepPlan& plan, const std::string& key) {
  std::string why;
  for (const SweepPoint& point : plan.points) {
    const data::DataOptions& data = point.options.data;
    why = pipeline::idle_reason_in_run(key, point.options, [&] { return pipeline::kind_of(data); });
    if (why.empty()) break;
  }
  return why;
}

std::vector<std::filesystem::path> given_files(const SweepPlan& plan) {
  std::set<std::filesystem::path> files;
  for (const SweepPoint& point : plan.points) {
    if (!point.options.start.empty()) files.insert(point.options.start);
    for (const std::string& teacher : point.options.qat.teachers()) files.insert(teacher);
  }
  return {files.begin(), files.end()};
}

void identify(SweepPlan& plan) {
  const auto content = std::make_shared<pipeline::RunIdentity>();
  plan.identity = [content](const pipeline::RunOptions& options) {
    return content->settings_and_data(options);
  };
  for (SweepPoint& point : plan.points) {
    json config = plan.identity(point.options);
    const bool varied = std::any_of(point.values.begin(), point.values.end(), [](const auto& item) {
      return item.first == "data.directory";
    });
    if (varied) config["data"]["directory"] = point.options.data.directory;
    point.config = exact_json_text(config);
    if (point.parent < 0) continue;
    plan.parents[static_cast<std::size_t>(point.parent)].name = parent_name(config);
  }
}

SweepPlan read_plan(const std::string& path, const SweepOverrides& overrides) {
  const toml::table file = parse_toml_table(read_file(path, kMostBytes), path);
  SweepPlan plan;
  pipeline::RunOptions base;
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
  const task::Task& task = task_of(base);
  parse_objectives(objectives_of(plan.settings.objectives, task), "sweep.objectives",
                   place("sweep.objectives"), &task);

  if (overrides.inputs && !sets(file, "data.directory", path)) {
    require_directory(base.data.directory);
  }
  Points added(plan);
  Places places;
  if (const toml::node* grid = file.get("grid")) {
    if (!grid->is_table()) fail(toml_place(path, grid->source()), "grid: expected a table, [grid]");
    add_grid(plan, added, base, *grid->as_table(), path, places);
  }
  if (const toml::node* points = file.get("list")) {
    if (!points->is_array()) {
      fail(toml_place(path, points->source()), "list: expected tables, each headed [[list]]");
    }
    for (const toml::node& node : *points->as_array()) {
      add_list(plan, added, base, node, path, places);
    }
  }
  if (plan.points.empty()) fail(path, "no points, expected a table [grid] or tables [[list]]");
  require_apart(plan, overrides.keys, path);
  for (const auto& [key, where] : places) {
    const std::string why = idle_reason_in_plan(plan, key);
    if (!why.empty()) fail(where, key + " has no effect in any point with " + why);
  }
  return plan;
}

void require_inputs(const SweepPlan& plan) {
  std::set<std::tuple<std::string, data::DataFormat, bool>> data;
  for (const SweepPoint& point : plan.points) {
    const pipeline::RunOptions& options = point.options;
    if (data.emplace(options.data.directory, options.data.kind, options.augment.any()).second) {
      require_directory(options.data.directory);
      if (options.augment.any()) pipeline::require_data(options);
    }
  }
  GivenNetworkCheck networks(plan.settings.threads);
  for (const SweepPoint& point : plan.points) networks.require(point.options);
}

}  // namespace crosstate::search
