#include "cli/common.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/toml.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string clock_text(double seconds) {
  const auto whole = static_cast<long>(std::lround(seconds));
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

std::string quoted(const std::string& argument) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.,/:+@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Names the part of the command line that an error refers to.
void set(FieldList& list, const std::string& assignment, const std::string& where) {
  try {
    list.set(assignment);
  } catch (const Error& error) {
    constexpr std::string_view kPlace = "option: ";
    std::string_view message = error.what();
    if (message.starts_with(kPlace)) message.remove_prefix(kPlace.size());
    fail(where, message);
  }
}

bool is_seed(const Field& field) { return field.key.ends_with(".seed"); }

const Field& seed_of(const FieldList& list) {
  const auto found = std::find_if(list.all().begin(), list.all().end(), is_seed);
  if (found == list.all().end()) throw std::logic_error("settings without a seed");
  return *found;
}

std::string value_text(const Field& field) {
  const json value = field.current();
  return value.is_string() ? value.get<std::string>() : exact_json_text(value);
}

// "bench.state_bits" as an option: "--state-bits".
std::string short_form(const Common& common, const std::string& key) {
  const auto named = common.short_names.find(key);
  if (named != common.short_names.end()) return named->second;
  std::string name = key.substr(key.rfind('.') + 1);
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

Option add_text(Command& command, const std::string& option, std::string& value,
                const std::string& help, const std::string& type) {
  return command.add(option, value, help).type(type).not_empty();
}

// File names may have any bytes.
std::string file_text(const json& result) { return json_text(result, 2) + '\n'; }

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The settings that a message names, in its order.
std::vector<std::string> keys_in(const std::string& message) {
  constexpr const char* kParts = "abcdefghijklmnopqrstuvwxyz0123456789_.";
  std::vector<std::string> keys;
  for (std::size_t at = 0; (at = message.find_first_of(kParts, at)) != std::string::npos;) {
    const std::size_t end = std::min(message.find_first_not_of(kParts, at), message.size());
    const std::string word = message.substr(at, end - at);
    if (all_settings().find(word) != nullptr) keys.push_back(word);
    at = end;
  }
  return keys;
}

// Where a TOML file that has been read without errors sets a key; "" if it does not.
std::string place_in(const std::string& file, const std::string& key) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return "";
  const toml::table table = parse_toml_table(read_file(file), file);
  const toml::node_view<const toml::node> value = table.at_path(key);
  return value ? toml_place(file, value.node()->source()) : "";
}

}  // namespace

std::string out_for_result(const std::string& name) {
  return "Also write the result to this directory, as " + name + ".json";
}

void add_common(Command command, Common& common, const Uses& uses, FieldList list) {
  common.command = command.name();
  command.explain_errors(
      [&common](const std::string& message) { return with_source(common, message); });
  common.settings = uses.settings;
  if (common.settings.empty()) {
    for (const Field& field : list.all()) common.settings.push_back(field.key);
  }
  list.use_only(common.settings, common.command);
  command
      .add("--config", common.configs,
           "Settings from a TOML file; repeatable, later files override earlier ones")
      .type("FILE")
      .not_empty()
      .one_value();
  command.add("--set", common.set, "One setting, overrides --config; repeatable")
      .type(kSettingType)
      .one_value();
  if (uses.data) {
    add_text(command, "--data", common.data,
             "Directory of MNIST files or recordings (data.directory); default: built-in sample",
             "DIR");
  }
  if (uses.target) {
    add_text(
        command, "--target", common.target,
        "Hardware target of chips: a .toml file of [device], [crossbar] and [wires], or one of " +
            joined(crossbar::target_names()) + "; --config overrides it",
        "NAME|FILE")
        .suggest(crossbar::target_names());
  }
  Option out = add_text(command, "--out", common.out, uses.out, uses.out_type);
  if (!common.out.empty()) out.show_default();
  if (uses.no_resume.empty()) {
    command.add("--resume", common.resume, "Continue an interrupted run in that directory");
  } else {
    command.refuse_flag("--resume", uses.no_resume);
  }
  Option overwrite =
      command.add("--overwrite", common.overwrite,
                  uses.out_type == "DIR" ? "Replace the results of an earlier run in that directory"
                                         : "Replace that file");
  if (uses.no_resume.empty()) overwrite.excludes(command.option("--resume"));
  if (uses.no_seed.empty()) {
    const Field& seed = seed_of(list);
    add_text(command, "--seed", common.seed,
             uses.seed + " (" + seed.key + ", default " + value_text(seed) + ")", "N");
  } else {
    command.refuse("--seed", uses.no_seed);
  }
  if (uses.no_threads.empty()) {
    command.add("--threads", common.threads, uses.threads).type("N").range(0, 1024).show_default();
  } else {
    command.refuse("--threads", uses.no_threads);
  }
  add_text(command, "--json", common.json,
           "Write the result as JSON to a file; -: to standard output, instead of text", "FILE");
  command.add("--quiet", common.quiet, "Print neither progress nor text on standard output");
  command.footer(settings_help(common.command, list));
  note_settings(common.command, list);
}

void add_common(Command command, Common& common, const Uses& uses, pipeline::RunOptions defaults) {
  add_common(command, common, uses, defaults.fields());
}

Option add_file(Command command, const std::string& option, std::string& path,
                const std::string& help) {
  return add_text(command, option, path, help, "FILE");
}

void add_short_forms(Command command, Common& common, const FieldList& list) {
  for (const Field& field : list.all()) {
    if (is_seed(field)) continue;  // --seed
    const std::string unit = field.unit.empty() ? "" : " " + field.unit;
    add_text(command, short_form(common, field.key), common.short_forms[field.key],
             field.key + ", below", "VALUE")
        .show_default(value_text(field) + unit)
        .suggest(values_to_offer(field))
        .group("Short forms of --set, which they override");
  }
}

void read_settings(const Common& common, FieldList& list) {
  list.use_only(common.settings, common.command);
  list.tolerate(all_settings());
  for (const std::string& file : common.configs) list.read_toml(file);
  for (const std::string& assignment : common.set) {
    set(list, assignment, "--set " + excerpt(assignment));
  }
  for (const auto& [key, value] : common.short_forms) {
    if (!value.empty())
      set(list, key + '=' + value, short_form(common, key) + ' ' + excerpt(value));
  }
  if (!common.seed.empty()) {
    set(list, seed_of(list).key + '=' + common.seed, "--seed " + excerpt(common.seed));
  }
}

pipeline::RunOptions configuration(const Common& common, pipeline::RunOptions defaults) {
  pipeline::RunOptions options = std::move(defaults);
  if (!common.target.empty()) {
    options.target = crossbar::read_target(common.target, options.target);
    options.qat.target_noise = 1;
  }
  FieldList list = options.fields();
  read_settings(common, list);
  if (!common.data.empty()) options.data.directory = common.data;
  pipeline::validate(options);
  return options;
}

std::vector<NamedSetting> named_settings(const Common& common) {
  std::vector<NamedSetting> named;
  for (const std::string& assignment : common.set) {
    named.push_back({assignment.substr(0, assignment.find('=')), "--set " + excerpt(assignment)});
  }
  for (const auto& [key, value] : common.short_forms) {
    if (!value.empty()) named.push_back({key, short_form(common, key) + ' ' + excerpt(value)});
  }
  return named;
}

std::string with_source(const Common& common, const std::string& message) {
  if (with_place(message, "") == message) return message;
  const std::vector<std::string> keys = keys_in(message);
  std::vector<NamedSetting> named = named_settings(common);
  if (!common.data.empty()) named.push_back({"data.directory", "--data " + excerpt(common.data)});
  if (!common.seed.empty()) named.push_back({"run.seed", "--seed " + excerpt(common.seed)});
  for (const std::string& key : keys) {
    // The last option decides.
    const auto found = std::find_if(named.rbegin(), named.rend(),
                                    [&](const NamedSetting& n) { return n.key == key; });
    if (found != named.rend()) return with_place(message, found->option);
  }
  std::vector<std::string> files(common.configs.rbegin(), common.configs.rend());
  if (!common.target.empty()) files.push_back(crossbar::target_file(common.target));
  for (const std::string& file : files) {
    for (const std::string& key : keys) {
      const std::string place = place_in(file, key);
      if (!place.empty()) return with_place(message, place);
    }
  }
  return message;
}

void refuse_idle(const Common& common,
                 const std::function<std::string(const std::string&)>& reason) {
  for (const NamedSetting& setting : named_settings(common)) {
    const std::string why = reason(setting.key);
    if (!why.empty()) fail(setting.option, setting.key + " has no effect with " + why);
  }
}

void refuse_idle_in_run(const Common& common, const pipeline::RunOptions& options) {
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason_in_run(key, options,
                                        [&] { return pipeline::kind_of(options.data); });
  });
  if (common.target.empty()) return;
  const std::string why = pipeline::idle_reason("crossbar.rows", pipeline::idle_in_run(options));
  if (!why.empty()) fail("--target " + excerpt(common.target), "has no effect with " + why);
}

void refuse_idle_data(const Common& common, const data::DataOptions& data) {
  pipeline::RunOptions options;
  options.data = data;
  refuse_idle(common, [&](const std::string& key) {
    if (!key.starts_with("data.")) return std::string();
    return pipeline::idle_reason(key, pipeline::idle_with_data(options, pipeline::kind_of(data)));
  });
}

void refuse_order_of_steps(const Common& common, bool told, const std::string& model) {
  if (!told) return;
  refuse_idle(common, [&](const std::string& key) {
    return key == "data.permutation_seed" ? model + ", which defines the order of its steps" : "";
  });
}

void require_writable_file(const std::string& path) {
  if (path.empty() || path == "-") return;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status) || fs::path(path).filename().empty()) {
    fail(path, "is a directory, expected a file to write");
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fail(path, "cannot write: it exists and is not a regular file");
  }
  const fs::path parent = fs::path(path).parent_path();
  make_writable_directory(parent.empty() ? fs::path(".") : parent);
}

void flush_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  // errno is that of an earlier write if this one did not fail.
  fail("standard output",
       errno != 0 ? std::string("cannot write: ") + std::strerror(errno) : "cannot write");
}

json with_format(json result, const std::string& name) {
  result["format"] = "crosstate " + name + " 1";
  return result;
}

void write_json(const Common& common, const json& result) {
  if (common.json.empty()) return;
  const std::string text = file_text(result);
  if (common.json == "-") {
    std::fputs(text.c_str(), stdout);
  } else {
    write_file(common.json, text);
  }
}

namespace {

pipeline::OutputDirectory open_directory(const Common& common, const std::string& command) {
  pipeline::OutputDirectory output(common.out, command, earlier_of(common));
  output.keep({common.configs.begin(), common.configs.end()});
  require_writable_file((output.path() / (command + ".json")).string());
  say_about(output, common);
  return output;
}

}  // namespace

pipeline::Earlier earlier_of(const Common& common) {
  if (common.overwrite) return pipeline::Earlier::kReplace;
  return common.resume ? pipeline::Earlier::kContinue : pipeline::Earlier::kRefuse;
}

pipeline::OutputDirectory open_output(const Common& common, const std::string& command) {
  return open_directory(common, command);
}

std::optional<pipeline::OutputDirectory> prepare_out(const Common& common,
                                                     const std::string& name) {
  if (common.out.empty()) {
    if (common.overwrite) fail("--overwrite", "nothing to replace without --out");
    return std::nullopt;
  }
  pipeline::OutputDirectory output = open_directory(common, name);
  output.begin();
  return output;
}

void say_about(const pipeline::OutputDirectory& output, const Common& common) {
  if (!output.note().empty()) std::fprintf(stderr, "%s\n", output.note().c_str());
  if (!common.resume || common.quiet || output.continues()) return;
  std::fprintf(stderr, "nothing to continue in %s: starting from the beginning\n",
               common.out.c_str());
}

void write_result(const Common& common, const std::string& name, const json& result) {
  const json labelled = with_format(result, name);
  if (!common.out.empty()) write_file(fs::path(common.out) / (name + ".json"), file_text(labelled));
  write_json(common, labelled);
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}
Progress::~Progress() { finish(); }

void Progress::show(const train::TrainProgress& p) {
  if (quiet_) return;
  if (p.epoch_end) {
    const train::EpochLog& log = p.log;
    char text[256];
    int size = std::snprintf(text, sizeof text, "%-5s epoch %3d/%d  loss %.4f  %s %s",
                             p.stage.c_str(), p.epoch, p.epochs, log.train_loss,
                             p.kind.title.c_str(), p.kind.text(log.train_metric).c_str());
    if (!std::isnan(log.validation_metric)) {
      size += std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size),
                            "  validation %s", p.kind.text(log.validation_metric).c_str());
    }
    std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size),
                  "  %s left  %.0f samples/s", clock_text(p.seconds_left).c_str(),
                  log.samples_per_second);
    if (terminal_) {
      update_line(text);
      if (p.last) finish();
    } else {
      std::fprintf(stderr, "%s\n", text);
    }
  } else if (terminal_) {
    char text[256];
    std::snprintf(text, sizeof text,
                  "%-5s epoch %3d/%d  %3.0f %%  loss %.4f  %s %s  %s left  %.0f samples/s",
                  p.stage.c_str(), p.epoch, p.epochs,
                  100 * static_cast<double>(p.done) / static_cast<double>(p.samples), p.loss,
                  p.kind.title.c_str(), p.kind.text(p.metric).c_str(),
                  clock_text(p.seconds_left).c_str(), p.samples_per_second);
    update_line(text);
  }
  std::fflush(stderr);
}

void Progress::show(const std::string& what) {
  if (quiet_ || !terminal_) return;
  update_line(what + " ...");
}

// A line that wraps cannot be erased completely: only its last row would be.
void Progress::update_line(const std::string& text) {
  const std::string shown = text.substr(0, columns_of(STDERR_FILENO) - 1);
  std::fprintf(stderr, "\r\x1b[K%s", shown.c_str());
  std::fflush(stderr);
  open_ = true;
}

void Progress::finish() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

void say_note(const std::string& note) { std::fprintf(stderr, "note: %s\n", note.c_str()); }

void say_notes(const data::Dataset& set) {
  for (const std::string& note : set.notes) say_note(note);
}

std::function<void(const std::string&)> say_once() {
  struct Said {
    std::mutex mutex;
    std::set<std::string> notes;
  };
  return [said = std::make_shared<Said>()](const std::string& note) {
    const std::lock_guard lock(said->mutex);
    if (said->notes.insert(note).second) say_note(note);
  };
}

pipeline::RunContext run_context(const Common& common, pipeline::OutputDirectory& output,
                                 ThreadPool& pool, Progress& progress) {
  pipeline::RunContext context;
  context.directory = output.path();
  context.output = &output;
  context.resume = common.resume;
  context.pool = &pool;
  context.progress = [&progress](const train::TrainProgress& p) { progress.show(p); };
  context.stage = [&progress](const std::string& what) { progress.show(what); };
  context.note = [&progress](const std::string& note) {
    progress.finish();
    say_note(note);
  };
  return context;
}

int say_interrupted(const std::string& command, const Common& common,
                    const std::vector<std::string>& arguments) {
  std::string line = "crosstate " + command;
  for (const std::string& argument : arguments) line += ' ' + quoted(argument);
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) line += std::string(" ") + option + " " + quoted(value);
  };
  for (const std::string& file : common.configs) add("--config", file);
  for (const std::string& assignment : common.set) add("--set", assignment);
  add("--data", common.data);
  add("--target", common.target);
  add("--seed", common.seed);
  if (common.threads > 0) add("--threads", std::to_string(common.threads));
  add("--json", common.json);
  add("--out", common.out);
  std::fprintf(stderr, "interrupted; continue with: %s --resume\n", line.c_str());
  return kInterrupted;
}

std::string percent(double share) {
  return std::isnan(share) ? "-" : fixed_text(100 * share, 2) + " %";
}

std::string bytes_text(std::size_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  return bytes < 10'000'000 ? fixed_text(value / 1e3, 1) + " kB"
                            : fixed_text(value / 1e6, 1) + " MB";
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace crosstate::cli
