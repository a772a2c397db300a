// What the subcommands share: options, configuration, progress on the terminal, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/pipeline/run.h"

namespace crosstate::cli {

inline constexpr int kOk = 0, kBadInput = 2, kInterrupted = 130;

/// The options of --help's first part.
struct Common {
  std::string config, data, out, json, seed;
  std::vector<std::string> set;
  int threads = 0;
  bool resume = false, quiet = false;
};

/// Which of them a subcommand has; the others it has always.
struct Uses {
  bool data = true, out = true, resume = true;  // resume: where there is out
};

/// Adds the options, and every field of `defaults` to the command's help.
void add_common(CLI::App& command, Common& common, const Uses& uses, RunOptions defaults = {});

/// Defaults, then --config, then --set, then --seed and --data.
RunOptions configuration(const Common& common, RunOptions defaults = {});

/// Throws Error unless the set has the channels and classes that a model is made for.
void require_fit(const TaskShape& task, const Dataset& set, const std::string& model);

/// Fails early where a file that is to be written at the end could not be.
void require_writable_file(const std::string& path);

/// Writes --json, if given ("-": standard output).
void write_json(const Common& common, const nlohmann::json& json);

/// On a terminal one line that updates itself, elsewhere one line per epoch; on standard error.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const TrainProgress& progress);
  void show(const std::string& what);
  /// Ends the line that updates itself.
  void finish();

 private:
  void update_line(const std::string& text);

  bool quiet_, terminal_, open_ = false;
};

/// The stage functions of a run that report to `progress`.
RunContext run_context(const Common& common, ThreadPool& pool, Progress& progress);

/// Says how to continue and returns kInterrupted.
int say_interrupted(const std::string& command, const Common& common);

/// Text of numbers for tables.
std::string percent(double share);
std::string bytes_text(std::size_t bytes);
std::string fixed(double value, int digits);

/// Every subcommand registers itself; `chosen` is what main() calls after parsing.
using Action = std::function<int()>;
void add_demo(CLI::App& app, Action& chosen);
void add_train(CLI::App& app, Action& chosen);
void add_eval(CLI::App& app, Action& chosen);
void add_info(CLI::App& app, Action& chosen);
void add_quantize(CLI::App& app, Action& chosen);
void add_stream(CLI::App& app, Action& chosen);
void add_bench(CLI::App& app, Action& chosen);

}  // namespace crosstate::cli
