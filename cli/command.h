// The command line: subcommands and their options. Only command.cpp knows the parser behind it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace crosstate::cli {

/// Columns of the terminal behind a standard stream, or 80 where there is none.
std::size_t columns_of(int stream);
/// Columns of text on standard output: those of the environment (COLUMNS), or of the terminal.
std::size_t text_columns();

/// An option that was added to a command, for what else is to be said about it.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  /// The name of its values in --help: "FILE".
  Option& type(const std::string& name);
  Option& required();
  /// Integers, both ends included.
  Option& range(int low, int high);
  Option& one_of(const std::vector<std::string>& allowed);
  /// Refuses an empty argument. That is mostly an unset variable of a script; taken as absent, it
  /// would quietly start another run than the one that was meant.
  Option& not_empty();
  /// Takes one value each time it is given.
  Option& one_value();
  /// Shows the value at this moment as the default in --help.
  Option& show_default();
  Option& show_default(const std::string& text);
  /// The heading in --help; "": not listed.
  Option& group(const std::string& heading);
  /// Only together with another option of the command, or only without it.
  Option& needs(const Option& other);
  Option& excludes(const Option& other);

 private:
  CLI::Option* option_;
};

/// A subcommand of a Program. Copies mean the same one.
class Command {
 public:
  using Action = std::function<int()>;

  Command add_command(const std::string& name, const std::string& help);
  /// With those of its parents: "crosstate bench scan".
  std::string name() const;

  /// `name` is "--name", or for an argument by position "NAME". The value must live until the
  /// action has run.
  Option add(const std::string& name, std::string& value, const std::string& help);
  Option add(const std::string& name, int& value, const std::string& help);
  Option add(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Option add(const std::string& name, bool& flag, const std::string& help);
  /// An option that other commands have and this one has no use for: an error when it is given,
  /// which tells `why`, and listed nowhere.
  void refuse(const std::string& name, const std::string& why);
  void refuse_flag(const std::string& name, const std::string& why);
  /// One that has been added already.
  Option option(const std::string& name) const;

  /// Text below the options in --help.
  void footer(const std::string& text);
  void require_command();
  /// What the program does when this command is named; returns the exit code.
  void action(Action run);

 private:
  friend class Program;
  Command(CLI::App& app, Action& chosen) : app_(&app), chosen_(&chosen) {}

  CLI::App* app_;
  Action* chosen_;  // of the program
};

/// The program, which holds all its commands.
class Program {
 public:
  Program(const std::string& name, const std::string& description, const std::string& version);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// The command that the others are added to.
  Command root();
  /// What the arguments ask for; for --help and --version an action that prints. Throws Error with
  /// one line for wrong arguments, and one that says where help is.
  Command::Action parse(int argc, char** argv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crosstate::cli
