// The command line: subcommands and their options. Only command.cpp knows the parser behind it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace crosstate::cli {

/// Width of the terminal of a standard stream, or 80 if it is not a terminal.
std::size_t columns_of(int stream);
/// Width of text on standard output: that of the environment (COLUMNS), or of the terminal.
std::size_t text_columns();

/// An option or positional argument as --help describes it.
struct OptionDescription {
  std::string name;  // "--out"; of a positional argument "MODEL"
  std::string type;  // name of its values, "FILE"; "": a flag
  std::string help;
  std::string fallback;                  // default; "": none
  std::vector<std::string> suggestions;  // values to offer; any others may be allowed, too
  bool positional = false, required = false, repeatable = false;
};

/// A command as --help describes it. What --help leaves out is left out here.
struct CommandDescription {
  std::string name;  // with its parents: "crosstate bench scan"
  std::string help;
  std::vector<OptionDescription> options;
  std::vector<CommandDescription> commands;
};

/// Values that completion offers, by option.
using Suggestions = std::map<const CLI::Option*, std::vector<std::string>>;

/// An option of a command; the members set its properties.
class Option {
 public:
  Option(CLI::Option& option, Suggestions& suggestions)
      : option_(&option), suggestions_(&suggestions) {}

  /// Name of its values in --help: "FILE".
  Option& type(const std::string& name);
  Option& required();
  /// Range of integers, both ends included.
  Option& range(int low, int high);
  Option& one_of(const std::vector<std::string>& allowed);
  /// Values that completion offers; others are allowed, too.
  Option& suggest(const std::vector<std::string>& values);
  /// Rejects an empty argument, which is usually an unset variable of a script; treating it as
  /// absent would silently start another run than intended.
  Option& not_empty();
  /// May be given several times, with one value each.
  Option& one_value();
  /// Shows the present value as the default in --help.
  Option& show_default();
  Option& show_default(const std::string& text);
  /// Heading in --help; "": not listed.
  Option& group(const std::string& heading);
  /// Allowed only together with another option of the command, or only without it.
  Option& needs(const Option& other);
  Option& excludes(const Option& other);

 private:
  CLI::Option* option_;
  Suggestions* suggestions_;  // belongs to the program
};

/// A subcommand of a Program. Copies refer to the same subcommand.
class Command {
 public:
  using Action = std::function<int()>;

  Command add_command(const std::string& name, const std::string& help);
  /// Name including its parents: "crosstate bench scan".
  std::string name() const;

  /// `name` is "--name" or, for a positional argument, "NAME". The value must live until the action
  /// has run.
  Option add(const std::string& name, std::string& value, const std::string& help);
  Option add(const std::string& name, int& value, const std::string& help);
  Option add(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Option add(const std::string& name, bool& flag, const std::string& help);
  /// An option of other commands that does not apply to this one: giving it is an error that says
  /// `why`. It is not listed.
  void refuse(const std::string& name, const std::string& why);
  void refuse_flag(const std::string& name, const std::string& why);
  /// An option that has been added before.
  Option option(const std::string& name) const;

  /// The command and those below it, in the order in which they were added.
  CommandDescription describe() const;
  /// Leaves the command out of --help.
  void hide();

  /// Text below the options in --help.
  void footer(const std::string& text);
  void require_command();
  /// Action of the command; returns the exit code.
  void action(Action run);
  /// Function that completes the message of an Error that the action throws.
  using Explanation = std::function<std::string(const std::string&)>;
  void explain_errors(Explanation complete);

 private:
  friend class Program;
  // What the commands of a program share; belongs to the program.
  struct Shared {
    Action action;
    Explanation explain;
    std::map<const CLI::App*, Explanation> explanations;  // of all commands
    Suggestions suggestions;
  };
  Command(CLI::App& app, Shared& shared) : app_(&app), shared_(&shared) {}

  CLI::App* app_;
  Shared* shared_;
};

/// The program, which owns all its commands.
class Program {
 public:
  Program(const std::string& name, const std::string& description, const std::string& version);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// The command to which the others are added.
  Command root();
  /// Parses the arguments and returns the action; for --help and --version, an action that prints.
  /// Throws Error with one line for invalid arguments and one line that refers to --help.
  Command::Action parse(int argc, char** argv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crosstate::cli
