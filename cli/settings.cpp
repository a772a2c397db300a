// The settings of all commands: which ones a shared file may contain, which ones --help of a
// command lists, and `crosstate settings`, which lists all.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/bench.h"
#include "cli/common.h"
#include "cli/cost_model.h"
#include "crosstate/base/error.h"
#include "crosstate/base/utf8.h"
#include "crosstate/circuit/cell_law.h"
#include "crosstate/cost/fan_in.h"
#include "crosstate/device/population.h"
#include "crosstate/search/design_search.h"
#include "crosstate/search/search.h"

namespace crosstate::cli {
namespace {

struct Everything {
  pipeline::RunOptions run;
  search::SweepSettings sweep;
  search::SearchOptions search;
  search::DesignOptions design;
  device::PopulationOptions population;
  CostOptions cost;
  cost::EstimateOptions estimate;
  cost::FanInOptions fan_in;
  cost::PeerOptions peers;
  circuit::CellLaw cells;
  BenchOptions bench;
};

// Commands with fewer settings than this list all in --help; the others list these, and the section
// with their own name.
constexpr std::size_t kFew = 16;
constexpr const char* kMain[] = {
    "model.channels",      "model.states",   "model.layers",  "train.epochs",  "train.batch",
    "train.learning_rate", "run.start",      "run.prune",     "run.crossbar",  "prune.states",
    "quant.preset",        "ptq.loss",       "ptq.bytes",     "ptq.front",     "ptq.sequences",
    "quant.state.bits",    "qat.epochs",     "device.model",  "crossbar.rows", "crossbar.adc_bits",
    "wires.segment",       "simulate.chips", "simulate.times"};

bool is_main(const std::string& key, const std::string& section) {
  return std::find(std::begin(kMain), std::end(kMain), key) != std::end(kMain) ||
         key.starts_with(section + '.');
}

struct UsedBy {
  std::string command;  // "bench scan"
  std::vector<std::string> keys;
};

std::vector<UsedBy>& users() {
  static std::vector<UsedBy> all;
  return all;
}

// "crosstate bench scan" as "bench scan".
std::string without_program(const std::string& command) {
  return command.substr(command.find(' ') + 1);
}

std::string line_of(const Field& field, std::size_t key_width) {
  std::string line =
      field.key + std::string(key_width - std::min(key_width, field.key.size()), ' ');
  line += "  " + field.text();
  if (!field.unit.empty()) line += ' ' + field.unit;
  const std::string allowed = field.allowed();
  if (!allowed.empty()) line += "  (" + allowed + ')';
  return line;
}

// One line with the key, its default and its range, followed by the description.
std::string described(const std::vector<const Field*>& fields,
                      const std::function<std::string(const Field&)>& more) {
  constexpr std::size_t kIndent = 6;
  const std::size_t columns = text_columns();
  std::size_t width = 0;
  for (const Field* field : fields) width = std::max(width, field->key.size());
  std::string text;
  for (const Field* field : fields) {
    text += "  " + folded(line_of(*field, width), columns - kIndent - 2, kIndent + 2) + '\n' +
            std::string(kIndent, ' ') +
            folded(field->help + more(*field), columns - kIndent, kIndent) + '\n';
  }
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

nlohmann::json json_of(const Field& field) {
  nlohmann::json json = {{"key", field.key},
                         {"default", field.current()},
                         {"help", field.help},
                         {"commands", commands_of(field.key)}};
  if (!field.unit.empty()) json["unit"] = field.unit;
  if (field.has_range) json["range"] = {field.low, field.high};
  if (!field.choices.empty()) json["choices"] = field.choices;
  return json;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

int settings_command(const Common& common, const std::string& pattern) {
  require_writable_file(common.json);
  std::vector<const Field*> found;
  for (const Field& field : all_settings().all()) {
    const std::string text = lower(field.key + '\n' + field.help);
    if (text.find(lower(pattern)) == std::string::npos) continue;
    found.push_back(&field);
  }
  if (found.empty()) {
    fail("settings", "none has \"" + excerpt(pattern) +
                         "\" in its name or description; expected a part of one, "
                         "such as \"adc\" or \"quant.\"");
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Field* field : found) list.push_back(json_of(*field));
  write_json(common, list);
  if (common.json == "-") return kOk;
  const std::string text = described(
      found, [](const Field& field) { return " [" + joined(commands_of(field.key)) + ']'; });
  std::fputs(text.c_str(), stdout);
  return kOk;
}

}  // namespace

const FieldList& all_settings() {
  static Everything values;
  static const FieldList list = [] {
    FieldList all = values.run.fields();
    search::fields(all, values.sweep);
    search::fields(all, values.search);
    device::fields(all, values.population);
    fields(all, values.cost);
    cost::fields(all, values.estimate);
    cost::fields(all, values.fan_in);
    cost::fields(all, values.peers);
    circuit::fields(all, values.cells);
    FieldList design;
    search::fields(design, values.design);
    all.tolerate(design);
    add_stream_settings(all);
    add_export_settings(all);
    for (const Bench which : {Bench::kTrain, Bench::kScan, Bench::kInfer, Bench::kArray}) {
      FieldList bench;
      fields(bench, values.bench, which);
      all.tolerate(bench);
    }
    return all;
  }();
  return list;
}

void note_settings(const std::string& command, const FieldList& list) {
  UsedBy user{without_program(command), {}};
  for (const Field& field : list.all()) {
    if (field.used) user.keys.push_back(field.key);
  }
  users().push_back(std::move(user));
}

std::vector<std::string> settings_of(const std::string& command) {
  for (const UsedBy& user : users()) {
    if (user.command == without_program(command)) return user.keys;
  }
  return {};
}

std::vector<std::string> commands_of(const std::string& key) {
  std::vector<std::string> commands;
  for (const UsedBy& user : users()) {
    if (std::find(user.keys.begin(), user.keys.end(), key) != user.keys.end()) {
      commands.push_back(user.command);
    }
  }
  return commands;
}

std::vector<std::string> values_to_offer(const Field& field) {
  if (field.current().is_boolean()) return {"true", "false"};
  return field.choices;
}

std::string settings_help(const std::string& command, const FieldList& list) {
  const std::string name = command.substr(command.rfind(' ') + 1);
  std::vector<const Field*> used, shown;
  for (const Field& field : list.all()) {
    if (!field.used) continue;
    used.push_back(&field);
    if (is_main(field.key, name == "train" ? "" : name)) shown.push_back(&field);
  }
  if (used.empty()) return "";
  std::string title = "\nSettings for --config and --set, their defaults and ranges";
  if (used.size() < kFew) {
    shown = used;
  } else {
    title += "; " + std::to_string(shown.size()) + " of " + std::to_string(used.size()) +
             ",\n`crosstate settings [PATTERN]` lists all";
  }
  return title + ":\n" + described(shown, [](const Field&) { return std::string(); });
}

void add_settings(Command root) {
  Command command = root.add_command(
      "settings",
      "List all settings: default, unit, range, description and the commands that use them");
  auto common = std::make_shared<Common>();
  auto pattern = std::make_shared<std::string>();
  command.add("PATTERN", *pattern,
              "List only settings with this text in the name or the description");
  command
      .add("--json", common->json, "Write JSON to a file; -: to standard output, instead of text")
      .type("FILE")
      .not_empty();
  command.action([=] { return settings_command(*common, *pattern); });
}

}  // namespace crosstate::cli
