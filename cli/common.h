// Shared by the subcommands: options, configuration, progress on the terminal, exit codes.
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

inline constexpr int kOk = 0, kSomeFailed = 1, kBadInput = 2, kInterrupted = 130;

/// The common options (first part of --help); every subcommand has those that apply to it.
struct Common {
  std::string command;                // "crosstate eval"
  std::vector<std::string> settings;  // settings of the command, as in FieldList::use_only()
  std::string data, target, out, json, seed;
  std::vector<std::string> configs, set;
  std::map<std::string, std::string> short_forms;  // text by key; "": not given
  std::map<std::string, std::string>
      short_names;  // option by key, if it is not named after the key
  int threads = 0;
  bool resume = false, overwrite = false, quiet = false;
};

/// Common options of one subcommand. Options without effect are rejected for the reason given here.
struct Uses {
  bool data = true;     // has --data
  bool target = false;  // has --target
  std::string no_resume = "";
  std::string out = "Directory of results and checkpoints";
  std::string out_type = "DIR";
  std::string seed = "Seed of all random numbers";
  std::string no_seed = "";
  std::string threads = "Number of threads; 0: all cores";
  std::string no_threads = "";
  std::vector<std::string> settings = {};  // as in Common; empty: all of the command's list
};

/// Name of the values of --set, by which completion knows them.
inline constexpr const char* kSettingType = "SECTION.KEY=VALUE";

/// Values of Uses::no_seed and Uses::no_resume of many commands.
inline constexpr const char* kNothingDrawn = "the command draws no random numbers";
inline constexpr const char* kNothingContinues = "the command leaves nothing to continue";

/// Uses::out of a command whose only file is its result, NAME.json.
std::string out_for_result(const std::string& name);

/// Adds the options, and every used setting of `list`, to the help of the command. If the command
/// draws random numbers, `list` has a setting named seed.
void add_common(Command command, Common& common, const Uses& uses, FieldList list);
void add_common(Command command, Common& common, const Uses& uses,
                pipeline::RunOptions defaults = {});

/// Adds an option for the name of a file, which may not be empty.
Option add_file(Command command, const std::string& option, std::string& path,
                const std::string& help);

/// Adds an option for every setting of `list` except the seed: --state-bits for bench.state_bits,
/// unless common.short_names has another name.
void add_short_forms(Command command, Common& common, const FieldList& list);

/// The part of --help that lists settings of the command: the most important ones if there are
/// many.
std::string settings_help(const std::string& command, const FieldList& list);
/// Registers the settings that a command uses, for `crosstate settings`.
void note_settings(const std::string& command, const FieldList& list);
/// Keys of the settings that a command ("crosstate eval") uses, and the commands ("eval") that use
/// a setting.
std::vector<std::string> settings_of(const std::string& command);
std::vector<std::string> commands_of(const std::string& key);
/// Values of a setting that completion offers: its choices; none for numbers and text.
std::vector<std::string> values_to_offer(const Field& field);

/// All settings of all commands, bound to unused variables.
const FieldList& all_settings();
void add_stream_settings(FieldList& list);
void add_export_settings(FieldList& list);

/// Sets the variables of `list` by --config in the order of the files, then --set, then short
/// forms, then --seed. Settings that the command does not use are allowed only in files.
void read_settings(const Common& common, FieldList& list);

/// The defaults, changed as above, then by --data; validated.
pipeline::RunOptions configuration(const Common& common, pipeline::RunOptions defaults = {});

/// A setting named on the command line: the key, and the option.
struct NamedSetting {
  std::string key, option;
};
std::vector<NamedSetting> named_settings(const Common& common);

/// The message of an Error about options, "options: quant.preset = ...", with the option or the
/// file and line that sets the first of its settings in place of "options". Other messages are
/// returned as they are.
std::string with_source(const Common& common, const std::string& message);

/// Throws Error for a setting named on the command line that has no effect; `reason` returns the
/// reason, or "" if it has one.
void refuse_idle(const Common& common,
                 const std::function<std::string(const std::string&)>& reason);
/// The same for settings of run(), and for --target.
void refuse_idle_in_run(const Common& common, const pipeline::RunOptions& options);
/// The same for settings of a test set.
void refuse_idle_data(const Common& common, const data::DataOptions& data);
/// The same for a model file that defines the order of its time steps.
void refuse_order_of_steps(const Common& common, bool told, const std::string& model);

/// Throws Error early if a file to be written at the end cannot be written.
void require_writable_file(const std::string& path);

/// Flushes standard output. Throws Error with the reason of the system if it cannot be written.
void flush_output();

/// The result of a command with "format": "crosstate NAME 1", the version of its keys.
nlohmann::json with_format(nlohmann::json result, const std::string& name);

/// Writes the file of --json, if given ("-": standard output).
void write_json(const Common& common, const nlohmann::json& json);

/// Handling of an earlier run in --out, according to --resume and --overwrite.
pipeline::Earlier earlier_of(const Common& common);

/// Creates and locks the directory of --out for the run of a command, and prints a message if
/// --resume finds nothing to continue. Throws Error for a directory with results that --resume or
/// --overwrite do not allow.
pipeline::OutputDirectory open_output(const Common& common, const std::string& command);

/// The same, if --out is given, for a command whose result is a report, NAME.json, which may be
/// beside others.
std::optional<pipeline::OutputDirectory> prepare_out(const Common& common, const std::string& name);

/// Prints on standard error that there is nothing to continue, and further notes of the directory.
void say_about(const pipeline::OutputDirectory& output, const Common& common);

/// Writes the result, with its format, to NAME.json in the directory of --out, if given, and to the
/// file of --json.
void write_result(const Common& common, const std::string& name, const nlohmann::json& json);

/// On a terminal one line that is updated, otherwise one line per epoch; on standard error.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const train::TrainProgress& progress);
  void show(const std::string& what);
  /// Ends the line that is updated.
  void finish();

 private:
  void update_line(const std::string& text);

  bool quiet_, terminal_, open_ = false;
};

/// Prints on standard error what was left out or assumed when data were read, also with --quiet.
void say_note(const std::string& note);
void say_notes(const data::Dataset& set);
/// say_note() for the runs of a sweep, from any thread; prints each line once.
std::function<void(const std::string&)> say_once();

/// Callbacks of a run that report to `progress`.
pipeline::RunContext run_context(const Common& common, pipeline::OutputDirectory& output,
                                 ThreadPool& pool, Progress& progress);

/// Prints the command line that continues the run, with the arguments of the subcommand besides the
/// common options, and returns kInterrupted.
int say_interrupted(const std::string& command, const Common& common,
                    const std::vector<std::string>& arguments = {});

/// Numbers as text, for tables.
std::string percent(double share);
std::string bytes_text(std::size_t bytes);
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
void add_export(Command root);
void add_prune(Command root);
void add_stream(Command root);
void add_bench(Command root);
void add_sweep(Command root);
void add_search(Command root);
void add_array(Command root);
void add_break_even(Command root);
void add_settings(Command root);
void add_completion(Command root);
void add_manual(Command root);

}  // namespace crosstate::cli
