#include "cli/common.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;

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

// Tells which part of the command line an error is about.
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

}  // namespace

void add_common(CLI::App& command, Common& common, const Uses& uses, RunOptions defaults) {
  command.add_option("--config", common.config, "Settings from a TOML file")->type_name("FILE");
  command.add_option("--set", common.set, "One setting, wins over --config; repeatable")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  if (uses.data) {
    command.add_option("--data", common.data, "Directory of the MNIST files (data.directory)")
        ->type_name("DIR");
  }
  if (uses.out) {
    command.add_option("--out", common.out, "Directory of results and checkpoints")
        ->type_name("DIR")
        ->capture_default_str();
    command.add_flag("--resume", common.resume, "Continue what was interrupted in that directory");
  }
  command.add_option("--seed", common.seed, "Start of every random draw (run.seed)")
      ->type_name("N");
  command.add_option("--threads", common.threads, "Threads; 0: every core")
      ->type_name("N")
      ->check(CLI::Range(0, 1024));
  command.add_option("--json", common.json, "Result as JSON to a file; -: standard output")
      ->type_name("FILE");
  command.add_flag("--quiet", common.quiet, "Neither progress nor tables");
  command.footer("\nSettings for --config and --set (name, default, range, when to change):\n" +
                 defaults.fields().help());
}

RunOptions configuration(const Common& common, RunOptions defaults) {
  RunOptions options = std::move(defaults);
  FieldList list = options.fields();
  if (!common.config.empty()) list.read_toml(common.config);
  for (const std::string& assignment : common.set) set(list, assignment, "--set " + assignment);
  if (!common.seed.empty()) set(list, "run.seed=" + common.seed, "--seed " + common.seed);
  if (!common.data.empty()) options.data.directory = common.data;
  validate(options);
  return options;
}

void require_writable_file(const std::string& path) {
  if (path.empty() || path == "-") return;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail(path, "is a directory, expected a file to write");
  const fs::path parent = fs::path(path).parent_path();
  make_writable_directory(parent.empty() ? fs::path(".") : parent);
}

void write_json(const Common& common, const nlohmann::json& json) {
  if (common.json.empty()) return;
  const std::string text = json.dump(2) + '\n';
  if (common.json == "-") {
    std::fputs(text.c_str(), stdout);
  } else {
    write_file(common.json, text);
  }
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}
Progress::~Progress() { finish(); }

void Progress::show(const TrainProgress& p) {
  if (quiet_) return;
  if (p.epoch_end) {
    const EpochLog& log = p.log;
    char text[256];
    int size = std::snprintf(text, sizeof text, "%-5s epoch %3d/%d  loss %.4f  accuracy %s",
                             p.stage.c_str(), p.epoch, p.epochs, log.train_loss,
                             percent(log.train_accuracy).c_str());
    if (!std::isnan(log.validation_accuracy)) {
      size += std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size),
                            "  validation %s", percent(log.validation_accuracy).c_str());
    }
    std::snprintf(text + size, sizeof text - static_cast<std::size_t>(size),
                  "  %.0f samples/s  %s left", log.samples_per_second,
                  clock_text(p.seconds_left).c_str());
    std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", text);
    open_ = terminal_;
    if (p.epoch == p.epochs) finish();
  } else if (terminal_) {
    std::fprintf(stderr,
                 "\r\x1b[K%-5s epoch %3d/%d  %3.0f %%  loss %.4f  accuracy %s  %.0f samples/s  %s "
                 "left",
                 p.stage.c_str(), p.epoch, p.epochs,
                 100 * static_cast<double>(p.done) / static_cast<double>(p.samples), p.loss,
                 percent(p.accuracy).c_str(), p.samples_per_second,
                 clock_text(p.seconds_left).c_str());
    open_ = true;
  }
  std::fflush(stderr);
}

void Progress::show(const std::string& what) {
  if (quiet_ || !terminal_) return;
  std::fprintf(stderr, "\r\x1b[K%s ...", what.c_str());
  std::fflush(stderr);
  open_ = true;
}

void Progress::finish() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

RunContext run_context(const Common& common, ThreadPool& pool, Progress& progress) {
  RunContext context;
  context.directory = common.out;
  context.resume = common.resume;
  context.pool = &pool;
  context.progress = [&progress](const TrainProgress& p) { progress.show(p); };
  context.stage = [&progress](const std::string& what) { progress.show(what); };
  return context;
}

int say_interrupted(const std::string& command, const Common& common) {
  std::string line = "crosstate " + command;
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) line += std::string(" ") + option + " " + quoted(value);
  };
  add("--config", common.config);
  for (const std::string& assignment : common.set) add("--set", assignment);
  add("--data", common.data);
  add("--seed", common.seed);
  if (common.threads > 0) add("--threads", std::to_string(common.threads));
  add("--json", common.json);
  add("--out", common.out);
  std::fprintf(stderr, "interrupted; continue with: %s --resume\n", line.c_str());
  return kInterrupted;
}

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string percent(double share) { return std::isnan(share) ? "-" : fixed(100 * share, 2) + " %"; }

std::string bytes_text(std::size_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  return bytes < 10'000'000 ? fixed(value / 1e3, 1) + " kB" : fixed(value / 1e6, 1) + " MB";
}

}  // namespace crosstate::cli
