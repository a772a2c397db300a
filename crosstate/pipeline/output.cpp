#include "crosstate/pipeline/output.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <stdexcept>
#include <system_error>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRecord = "crosstate.json";
constexpr FileFormat kFormat("crosstate output", 1);

// File names below the directory, with "/" between folders.
#define RUN_FILES \
  "(float|pruned|ptq|qat)(\\.jsonl|(\\.checkpoint|\\.integer)?\\.safetensors)|summary\\.json"
#define SWEEP_FILES                                                \
  "sweep\\.sqlite(-journal)?|(results|front)\\.csv|report\\.html|" \
  "(points|float)/[^/]+/(crosstate\\.json|" RUN_FILES ")"
#define PRUNED "(pruned|against)(-[0-9]+)?(-step[0-9]+|-penalty)?"

struct Command {
  const char* name;
  bool run;             // has the directory to itself
  const char* files;    // all files that it writes
  const char* resumes;  // those that --resume continues; "": none
};

constexpr Command kCommands[] = {
    {"train", true, RUN_FILES "|report\\.html", "(float|qat)\\.checkpoint\\.safetensors"},
    {"demo", true, RUN_FILES "|report\\.html", "(float|qat)\\.checkpoint\\.safetensors"},
    {"prune", true,
     PRUNED "(\\.jsonl|(\\.checkpoint|\\.integer)?\\.safetensors)|prune\\.json|report\\.html",
     PRUNED "\\.checkpoint\\.safetensors"},
    {"quantize", true,
     "(ptq(\\.integer)?|front-[0-9]+)\\.safetensors|(ptq|front-[0-9]+)\\.toml|quantize\\.json", ""},
    {"deploy", true,
     "chip\\.safetensors|mapping\\.svg|deploy\\.json|"
     "conductance/(array-[0-9]+(-copy-[0-9]+)?\\.csv|arrays\\.npz)",
     ""},
    {"simulate", true, "simulate\\.(jsonl|json|html)", "simulate\\.jsonl"},
    {"sweep", true, SWEEP_FILES, "sweep\\.sqlite"},
    {"search", true, SWEEP_FILES "|(sensitivity|proxy-front)\\.csv", "sweep\\.sqlite"},
    {"search --target", true, "sweep\\.sqlite(-journal)?|design-front\\.csv|report\\.html",
     "sweep\\.sqlite"},
    {"eval", false, "eval\\.json", ""},
    {"info", false, "info\\.json", ""},
    {"device", false, "device\\.json", ""},
    {"stream", false, "stream\\.json", ""},
    {"cost", false, "cost\\.(json|html)", ""},
    {"break-even", false, "break-even\\.json", ""},
    {"bench-train", false, "bench-train\\.json", ""},
    {"bench-scan", false, "bench-scan\\.json", ""},
    {"bench-infer", false, "bench-infer\\.json", ""},
    {"bench-array", false, "bench-array\\.json", ""},
    {"bench-chip", false, "bench-chip\\.json", ""},
};

#undef RUN_FILES
#undef SWEEP_FILES
#undef PRUNED

const Command* find_command(const std::string& name) {
  const auto found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                  [&](const Command& command) { return name == command.name; });
  return found == std::end(kCommands) ? nullptr : found;
}

// Folders that commands create; no others below the directory are searched.
bool is_own_folder(const std::string& name) {
  return name == "points" || name == "float" || name == "conductance";
}

// Calls `visit` with the names of all files below the directory that may belong to a command, until
// it returns false.
void visit_files(const fs::path& directory, const std::string& prefix,
                 const std::function<bool(const std::string&)>& visit) {
  std::error_code unreadable;
  std::vector<std::string> names, folders;
  for (fs::directory_iterator at(directory, unreadable), end; !unreadable && at != end;
       at.increment(unreadable)) {
    std::error_code ignored;
    const std::string name = at->path().filename().string();
    const bool enters =
        prefix.empty() ? is_own_folder(name) : prefix.find('/') + 1 == prefix.size();
    if (!at->is_directory(ignored)) {
      names.push_back(name);
    } else if (enters) {
      folders.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  std::sort(folders.begin(), folders.end());
  for (const std::string& name : names) {
    if (!visit(prefix + name)) return;
  }
  bool more = true;
  for (const std::string& name : folders) {
    visit_files(directory / name, prefix + name + '/',
                [&](const std::string& file) { return more = visit(file); });
    if (!more) return;
  }
}

// Includes what an interrupted write leaves; see write_file().
std::regex pattern_of(const std::string& files) {
  return std::regex("(" + files + ")(\\.tmp-[0-9]+-[0-9]+)?", std::regex::optimize);
}

std::optional<std::string> first_match(const fs::path& directory, const std::string& files) {
  if (files.empty()) return std::nullopt;
  const std::regex pattern = pattern_of(files);
  std::optional<std::string> found;
  visit_files(directory, "", [&](const std::string& name) {
    if (std::regex_match(name, pattern)) found = name;
    return !found;
  });
  return found;
}

// Commands listed in crosstate.json.
std::set<std::string> recorded(const fs::path& directory) {
  const fs::path path = directory / kRecord;
  const json record = try_parse_json(read_file(path));
  if (record.is_object() && record.contains("format")) {  // absent in the first files
    const json& format = record.at("format");
    kFormat.version_of(format.is_string() ? format.get<std::string>() : exact_json_text(format),
                       path.string());
  }
  std::set<std::string> commands;
  const bool is_list =
      record.is_object() && record.contains("commands") && record.at("commands").is_array();
  for (const json& name : is_list ? record.at("commands") : json::array()) {
    if (name.is_string()) commands.insert(name.get<std::string>());
  }
  if (!is_list) {
    fail(path.string(),
         "expected {\"commands\": [...]}, the commands that wrote these results; choose another "
         "directory, or remove that file");
  }
  return commands;
}

bool is_one_of(const fs::path& path, const std::vector<fs::path>& others) {
  return std::any_of(others.begin(), others.end(), [&](const fs::path& other) {
    std::error_code ignored;
    return !other.empty() && fs::equivalent(path, other, ignored);
  });
}

}  // namespace

struct OutputDirectory::Inside {
  fs::path path;
  const Command& command;
  Earlier earlier;
  std::unique_ptr<FileLock> lock;
  std::set<std::string> commands;  // listed in crosstate.json
  fs::path created;                // the topmost folder that was created for it; empty: none
  bool begun = false;
  std::vector<fs::path> kept = {};

  void check() {
    refuse_folders();
    std::error_code unreadable;
    if (fs::exists(path / kRecord, unreadable)) {
      commands = recorded(path);
    } else {
      find_unrecorded();
    }
    if (earlier == Earlier::kReplace) return;
    if (command.run) {
      for (const std::string& name : commands) refuse_run_of(name);
    }
    const std::optional<std::string> own = first_match(path, command.files);
    if (!own || earlier == Earlier::kContinue) return;
    if (std::string(command.name) == "demo" && commands.contains("demo")) {
      earlier = Earlier::kReplace;
      return;
    }
    fail(path.string(), "already holds results (" + *own + "); " +
                            (*command.resumes != 0 ? "--resume continues them, " : "") +
                            "--overwrite replaces them, or choose another directory");
  }

  // Paths at which the command would fail at its end.
  void refuse_folders() const {
    const std::regex pattern = pattern_of(command.files);
    std::error_code unreadable, ignored;
    for (fs::directory_iterator at(path, unreadable), end; !unreadable && at != end;
         at.increment(unreadable)) {
      if (!std::regex_match(at->path().filename().string(), pattern)) continue;
      if (!at->is_directory(ignored)) continue;
      fail(at->path().string(),
           std::string("is a directory, but ") + command.name + " writes a file");
    }
  }

  // Runs of other commands by versions that did not record them, identified by unambiguous files.
  void find_unrecorded() {
    for (const char* name : {"train", "prune", "simulate", "sweep"}) {
      const std::string files = find_command(name)->resumes;
      if (files != command.resumes && first_match(path, files)) commands.insert(name);
    }
  }

  // Only other commands; results of this one are recognised by their files.
  void refuse_run_of(const std::string& name) const {
    const Command* other = find_command(name);
    if (other == nullptr || !other->run || other == &command) return;
    const std::optional<std::string> file = first_match(path, other->files);
    if (!file) return;
    fail(path.string(), "holds results of " + name + " (" + *file + "), which " + command.name +
                            " does not continue; choose another directory, or --overwrite removes "
                            "them");
  }

  // What interrupted writes of this command have left. Nobody writes while the directory is locked.
  void remove_unfinished() const {
    const std::regex pattern("(" + std::string(command.files) + ")\\.tmp-[0-9]+-[0-9]+");
    std::vector<std::string> names;
    visit_files(path, "", [&](const std::string& name) {
      if (std::regex_match(name, pattern)) names.push_back(name);
      return true;
    });
    std::error_code ignored;
    for (const std::string& name : names) fs::remove(path / name, ignored);
  }

  // Files of this and all other runs; a report replaces an earlier one when it is written.
  void remove(const std::vector<fs::path>& inputs) {
    std::string files = command.files;
    for (const std::string& name : commands) {
      const Command* other = find_command(name);
      if (other != nullptr && other->run) files += std::string("|") + other->files;
    }
    const std::regex pattern = pattern_of(files);
    std::vector<fs::path> old;
    visit_files(path, "", [&](const std::string& name) {
      const fs::path file = path / name;
      if (std::regex_match(name, pattern) && !is_one_of(file, inputs) && !is_one_of(file, kept)) {
        old.push_back(name);
      }
      return true;
    });
    std::set<fs::path, std::greater<>> folders;  // inner folders first
    for (const fs::path& name : old) {
      std::error_code error;
      fs::remove(path / name, error);
      if (error) fail((path / name).string(), "cannot remove: " + error.message());
      for (fs::path up = name.parent_path(); !up.empty(); up = up.parent_path()) folders.insert(up);
    }
    for (const fs::path& folder : folders) {
      std::error_code not_empty;
      fs::remove(path / folder, not_empty);
    }
    std::erase_if(commands, [&](const std::string& name) {
      const Command* other = find_command(name);
      return other != nullptr && other->run;
    });
  }

  void record() {
    if (!commands.insert(command.name).second) return;
    write_file(path / kRecord,
               exact_json_text(json({{"format", kFormat.text()}, {"commands", commands}})) + '\n');
  }
};

OutputDirectory::OutputDirectory(fs::path path, std::string command, Earlier earlier, Guard guard) {
  const Command* found = find_command(command);
  if (found == nullptr) throw std::logic_error("a command without known files: " + command);
  if (earlier == Earlier::kContinue && *found->resumes == 0) earlier = Earlier::kRefuse;
  std::error_code ignored;
  fs::path created;
  for (fs::path at = path; !at.empty() && !fs::exists(at, ignored); at = at.parent_path()) {
    if (at.has_filename()) created = at;
  }
  make_writable_directory(path);
  inside_ =
      std::make_unique<Inside>(Inside{std::move(path), *found, earlier, nullptr, {}, created});
  if (guard == Guard::kLock) {
    inside_->lock = std::make_unique<FileLock>(inside_->path / "lock", inside_->path.string());
  }
  inside_->check();
}

OutputDirectory::~OutputDirectory() {
  if (inside_ == nullptr) return;
  inside_->lock.reset();  // removes its file
  if (inside_->created.empty() || inside_->begun) return;
  fs::path at = inside_->path.has_filename() ? inside_->path : inside_->path.parent_path();
  for (std::error_code not_empty; fs::remove(at, not_empty) && at != inside_->created;) {
    at = at.parent_path();
  }
}

OutputDirectory::OutputDirectory(OutputDirectory&&) noexcept = default;
OutputDirectory& OutputDirectory::operator=(OutputDirectory&&) noexcept = default;

const fs::path& OutputDirectory::path() const { return inside_->path; }

bool OutputDirectory::continues() const {
  return inside_->earlier == Earlier::kContinue &&
         first_match(inside_->path, inside_->command.resumes).has_value();
}

void OutputDirectory::keep(const std::vector<fs::path>& files) {
  inside_->kept.insert(inside_->kept.end(), files.begin(), files.end());
}

std::string OutputDirectory::note() const { return inside_->lock ? inside_->lock->note() : ""; }

void OutputDirectory::begin(const std::vector<fs::path>& inputs) {
  inside_->begun = true;
  if (inside_->earlier == Earlier::kReplace && inside_->command.run) inside_->remove(inputs);
  if (inside_->lock) inside_->remove_unfinished();
  inside_->record();
}

}  // namespace crosstate::pipeline
