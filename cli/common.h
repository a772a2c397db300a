// What the subcommands share: options, configuration, progress on the terminal, exit codes.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "crosstate/integer/network.h"
#include "crosstate/pipeline/output.h"
#include "crosstate/pipeline/run.h"

namespace crosstate::cli {

inline constexpr int kOk = 0, kBadInput = 2, kInterrupted = 130;

/// The options of --help's first part, of which every subcommand takes those that it has a use for.
struct Common {
  std::string command;                // "crosstate eval"
  std::vector<std::string> settings;  // that the command uses, as for FieldList::use_only()
  std::string config, data, target, out, json, seed;
  std::vector<std::string> set;
  std::map<std::string, std::string> short_forms;  // key to text; "": not given
  std::map<std::string, std::string> short_names;  // key to option, where its own name is no help
  int threads = 0;
  bool resume = false, overwrite = false, quiet = false;
};

/// What they are in one subcommand. Options without effect are refused with the reason given here.
struct Uses {
  bool data = true;     // has --data
  bool target = false;  // has --target
  std::string no_resume = "";
  std::string out = "Directory of results and checkpoints";
  std::string out_type = "DIR";
  std::string seed = "Start of every random draw";
  std::string no_seed = "";
  std::string threads = "Threads; 0: every core";
  std::string no_threads = "";
  std::vector<std::string> settings = {};  // as in Common; empty: all of the command's list
};

/// Uses::no_seed and Uses::no_resume of many commands.
inline constexpr const char* kNothingDrawn = "nothing is drawn";
inline constexpr const char* kNothingContinues = "this command leaves nothing to continue";

/// Uses::out of a command whose only file is its result, NAME.json.
std::string out_for_result(const std::string& name);

/// Adds the options, and every setting of `list` that is used, to the command's help. Where draws
/// are made, `list` holds a setting named seed.
void add_common(Command command, Common& common, const Uses& uses, FieldList list);
void add_common(Command command, Common& common, const Uses& uses,
                pipeline::RunOptions defaults = {});

/// Adds the option for the name of a file, which may not be empty.
Option add_file(Command command, const std::string& option, std::string& path,
                const std::string& help);

/// Adds an option of its own for every setting of `list` but the seed: --state-bits for
/// bench.state_bits, unless common.short_names knows better.
void add_short_forms(Command command, Common& common, const FieldList& list);

/// The part of --help that lists settings that the command uses: those that matter most, where
/// there are many.
std::string settings_help(const std::string& command, const FieldList& list);
/// Remembers which settings a command uses, for crosstate settings.
void note_settings(const std::string& command, const FieldList& list);

/// Every setting of every command, bound to values that nobody reads.
const FieldList& all_settings();
void add_stream_settings(FieldList& list);

/// Sets what `list` is bound to: by --config, then --set, then short forms, then --seed. Settings
/// that the command does not use may stand in the file alone.
void read_settings(const Common& common, FieldList& list);

/// Defaults, then those, then --data; valid.
pipeline::RunOptions configuration(const Common& common, pipeline::RunOptions defaults = {});

/// What the command line has named: a key, and the option that did.
struct NamedSetting {
  std::string key, option;
};
std::vector<NamedSetting> named_settings(const Common& common);

/// Throws Error for a setting that the command line has named and that changes nothing, which
/// `reason` tells by a text that is not empty.
void refuse_idle(const Common& common,
                 const std::function<std::string(const std::string&)>& reason);
/// The same for what run() uses, and for --target.
void refuse_idle_in_run(const Common& common, const pipeline::RunOptions& options);
/// The same for settings about a test set.
void refuse_idle_data(const Common& common, const data::DataOptions& data);
/// The same for a model's file that tells the order of its time steps itself.
void refuse_order_of_steps(const Common& common, bool told, const std::string& model);

/// Fails early where a file that is to be written at the end could not be.
void require_writable_file(const std::string& path);

/// Writes out what has been printed. Throws Error with the system's reason where standard output
/// does not take it.
void flush_output();

/// The result of a command with "format": "crosstate NAME 1", the version of its keys.
nlohmann::json with_format(nlohmann::json result, const std::string& name);

/// Writes --json, if given ("-": standard output).
void write_json(const Common& common, const nlohmann::json& json);

/// What becomes of an earlier run in --out, as --resume and --overwrite say.
pipeline::Earlier earlier_of(const Common& common);

/// Makes and locks the directory of --out for the run of a command, and says where --resume finds
/// nothing to continue. Throws Error for one with results that --resume or --overwrite do not
/// allow.
pipeline::OutputDirectory open_output(const Common& common, const std::string& command);

/// The same, if --out is given, for a command whose result is a report beside others, NAME.json.
std::optional<pipeline::OutputDirectory> prepare_out(const Common& common, const std::string& name);

/// Says on standard error that nothing is there to continue, and what else the directory tells.
void say_about(const pipeline::OutputDirectory& output, const Common& common);

/// Writes the result, with its format, to NAME.json in the directory of --out, if given, and to
/// --json.
void write_result(const Common& common, const std::string& name, const nlohmann::json& json);

/// On a terminal one line that updates itself, elsewhere one line per epoch; on standard error.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const train::TrainProgress& progress);
  void show(const std::string& what);
  /// Ends the line that updates itself.
  void finish();

 private:
  void update_line(const std::string& text);

  bool quiet_, terminal_, open_ = false;
};

/// Tells on standard error what was left out or assumed when data were read, with --quiet, too.
void say_note(const std::string& note);
void say_notes(const data::Dataset& set);
/// say_note() for the runs of a sweep, from any thread: a line once.
std::function<void(const std::string&)> say_once();

/// The stage functions of a run that report to `progress`.
pipeline::RunContext run_context(const Common& common, pipeline::OutputDirectory& output,
                                 ThreadPool& pool, Progress& progress);

/// Says how to continue, with what the subcommand takes beside the common options, and returns
/// kInterrupted.
int say_interrupted(const std::string& command, const Common& common,
                    const std::vector<std::string>& arguments = {});

/// Text of numbers for tables.
std::string percent(double share);
std::string bytes_text(std::size_t bytes);
std::string fixed(double value, int digits);
std::string number(double value);  // four significant digits

/// Every subcommand adds itself to the program.
void add_demo(Command root);
void add_train(Command root);
void add_eval(Command root);
void add_info(Command root);
void add_device(Command root);
void add_deploy(Command root);
void add_simulate(Command root);
void add_cost(Command root);
void add_quantize(Command root);
void add_convert(Command root);
void add_prune(Command root);
void add_stream(Command root);
void add_bench(Command root);
void add_sweep(Command root);
void add_search(Command root);
void add_array(Command root);
void add_settings(Command root);

}  // namespace crosstate::cli
