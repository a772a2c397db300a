#include "crosstate/task/task.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"

namespace crosstate::task {

// Defined in the file of the same name.
const Task& multi_label();

namespace {

using nlohmann::json;

constexpr const char* kTask = "task";
constexpr const char* kClasses = "classes";
constexpr const char* kOutputs = "outputs";
constexpr const char* kOffset = "target_offset";
constexpr const char* kScale = "target_scale";
constexpr const char* kReadout = "readout";  // only if outputs are read at every step

}  // namespace

const std::vector<const Task*>& tasks() {
  static const std::vector<const Task*> all = {&classification(), &regression(), &multi_label()};
  return all;
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Task* task : tasks()) names.emplace_back(task->name());
  return names;
}

const Task& task_named(std::string_view name, const std::string& where) {
  std::string all;
  for (const Task* task : tasks()) {
    if (name == task->name()) return *task;
    all += (all.empty() ? "" : ", ") + std::string(task->name());
  }
  fail(where, "task \"" + excerpt(name) + "\", expected one of " + all);
}

Output::Output(std::span<const float> outputs)
    : values(outputs),
      largest(static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) -
                                       outputs.begin())) {}

std::string TaskMetric::cell(double value) const {
  return is_share ? fixed_text(100 * value, 2) : fixed_text(value, 4);
}

std::string TaskMetric::text(double value) const {
  return is_share && !std::isnan(value) ? cell(value) + " %" : cell(value);
}

bool Task::not_counted(std::string_view cell) const {
  const std::string_view text = without_blanks(cell);
  return text.empty() || text == "nan" || text == "NaN";
}

void Task::fit(Readout&, std::span<const float>) const {}

std::string Task::lacking(const Readout&, std::span<const float>) const { return ""; }

std::vector<double> Task::balanced_weights(const Readout&, std::span<const float>) const {
  return {};
}

const TaskMetric* Task::share_of_right(const Readout&) const { return nullptr; }

json Task::to_json(const Readout& readout, std::span<const double> sums) const {
  json out = json::object();
  const std::vector<double> values = evaluate(readout, sums);
  for (std::size_t i = 0; i < values.size(); ++i) out[metrics()[i].name] = values[i];
  return out;
}

std::string Task::text(const Readout& readout, std::span<const double> sums) const {
  std::string line;
  const std::vector<double> values = evaluate(readout, sums);
  for (std::size_t i = 0; i < values.size(); ++i) {
    line += (i == 0 ? "" : ", ") + metrics()[i].title + ' ' + metrics()[i].text(values[i]);
  }
  return line;
}

std::vector<TaskTable> Task::tables(const Readout&, std::span<const double>) const { return {}; }

double primary_value(const Readout& readout, std::span<const double> sums) {
  return readout.task->evaluate(readout, sums).front();
}

std::optional<Interval> interval_of(const Readout& readout, double primary, std::size_t sequences) {
  const Task& task = *readout.task;
  if (task.share_of_right(readout) != &task.primary() || std::isnan(primary)) return std::nullopt;
  const auto count = static_cast<double>(sequences);
  return wilson(std::round(primary * count), count);
}

bool is_right(const Readout& readout, const Output& output, std::span<const float> target) {
  const Task& task = *readout.task;
  std::vector<double> sums(task.sums(readout), 0);
  task.add(readout, output, target, sums);
  const auto metric = static_cast<std::size_t>(task.share_of_right(readout) - &task.primary());
  return task.evaluate(readout, sums)[metric] > 0.5;
}

void save_readout(const Readout& readout, std::map<std::string, std::string>& metadata) {
  // Model files without a task are classifiers of earlier versions.
  const bool classifies = readout.task == &classification();
  if (!classifies) metadata[kTask] = readout.task->name();
  metadata[classifies ? kClasses : kOutputs] = exact_json_text(json(readout.names));
  if (readout.every_step()) metadata[kReadout] = name_of(readout.scope);
  if (readout.offset.empty()) return;
  metadata[kOffset] = exact_json_text(json(readout.offset));
  metadata[kScale] = exact_json_text(json(readout.scale));
}

std::optional<Readout> load_readout(const std::map<std::string, std::string>& metadata,
                                    const std::string& where) {
  Readout readout;
  const char* key = kClasses;
  if (metadata.contains(kTask)) {
    readout.task = &task_named(metadata.at(kTask), where);
    key = kOutputs;
  } else if (!metadata.contains(kClasses)) {
    return std::nullopt;
  }
  const auto damaged = [&](const char* what) {
    fail(where, std::string("metadata '") + what + "' is damaged or missing");
  };
  try {
    readout.names = parse_json(metadata.at(key)).get<std::vector<std::string>>();
    if (metadata.contains(kOffset)) {
      key = kOffset;
      readout.offset = parse_json(metadata.at(kOffset)).get<std::vector<double>>();
      key = kScale;
      readout.scale = parse_json(metadata.at(kScale)).get<std::vector<double>>();
    }
  } catch (const json::exception&) {
    damaged(key);
  } catch (const std::out_of_range&) {
    damaged(key);
  }
  if (readout.names.empty()) damaged(kOutputs);
  if (metadata.contains(kReadout)) {
    if (metadata.at(kReadout) != name_of(Scope::kStep)) damaged(kReadout);
    readout.scope = Scope::kStep;
  }
  const auto finite = [](double v) { return std::isfinite(v); };
  const auto fits = [&](const std::vector<double>& values) {
    return (values.empty() || values.size() == readout.outputs()) &&
           std::all_of(values.begin(), values.end(), finite);
  };
  if (!fits(readout.offset)) damaged(kOffset);
  if (!fits(readout.scale) || readout.scale.size() != readout.offset.size()) damaged(kScale);
  return readout;
}

void require_same_outputs(const Readout& model, const Readout& data, const std::string& where,
                          const std::string& data_name) {
  if (model.task != data.task) {
    fail(where, std::string("made for ") + model.task->name() + ", but " + data_name +
                    " has targets for " + data.task->name());
  }
  if (model.scope != data.scope) {
    fail(where, std::string("trained with a target for every ") + model.unit() + ", but " +
                    data_name + " has one of every " + data.unit());
  }
  const std::string many = model.task->categorical() ? " classes" : " values";
  const std::string one = model.task->categorical() ? "class " : "value ";
  for (std::size_t i = 0; i < std::max(model.outputs(), data.outputs()); ++i) {
    const auto name = [i](const std::vector<std::string>& names) {
      return i < names.size() ? '"' + names[i] + '"' : std::string("absent");
    };
    if (name(model.names) == name(data.names)) continue;
    fail(where, "made for " + std::to_string(model.outputs()) + many + ", but " + data_name +
                    " has " + std::to_string(data.outputs()) + ": " + one + std::to_string(i) +
                    " is " + name(model.names) + " there and " + name(data.names) + " here");
  }
}

}  // namespace crosstate::task
