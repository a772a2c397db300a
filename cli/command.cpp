#include "cli/command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "crosstate/base/error.h"
#include "crosstate/base/utf8.h"

namespace crosstate::cli {
namespace {

// Wraps the descriptions of options and commands to the width of the terminal.
class FoldingFormatter : public CLI::Formatter {
 public:
  std::string make_option_desc(const CLI::Option* option) const override {
    return fold(CLI::Formatter::make_option_desc(option));
  }
  std::string make_description(const CLI::App* app) const override {
    return folded(app->get_description(), text_columns(), 0) + '\n';
  }
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream text;
    CLI::detail::format_help(text, command->get_name(), fold(command->get_description()),
                             get_column_width());
    return text.str();
  }

 private:
  std::string fold(const std::string& text) const {
    constexpr std::size_t kLeast = 20;
    const std::size_t columns = text_columns(), names = get_column_width();
    return folded(text, columns > names + kLeast ? columns - names : kLeast, 0);
  }
};

[[noreturn]] void refuse_given(const std::string& option, const std::string& why) {
  throw CLI::ValidationError(option + " has no effect here", why);
}

std::string names_of_commands(const CLI::App& app) {
  std::string names;
  for (const CLI::App* known : app.get_subcommands({})) {
    names += (names.empty() ? "" : ", ") + known->get_name();
  }
  return names;
}

// The subcommands at the beginning of the arguments: "bench scan".
std::string command_of(const CLI::App& app, int argc, char** argv) {
  std::string names;
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const auto commands = at->get_subcommands({});
    const auto found = std::find_if(commands.begin(), commands.end(), [&](const CLI::App* command) {
      return command->get_name() == argv[i];
    });
    if (found == commands.end()) break;
    at = *found;
    names += (names.empty() ? "" : " ") + at->get_name();
  }
  return names;
}

// CLI11 reports an unknown subcommand as an extra argument; list the subcommands instead.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc,
                          char** argv) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string command = command_of(app, argc, argv);
  if (!command.empty()) return command + ": " + message + "\nTry: crosstate " + command + " --help";
  const std::string first = argc > 1 ? argv[1] : "";
  const std::string names = names_of_commands(app);
  if (first.empty()) return "no subcommand, expected one of " + names;
  if (first[0] == '-') return "unknown option " + first + "\nTry: crosstate --help";
  return "unknown subcommand \"" + first + "\", expected one of " + names;
}

}  // namespace

std::size_t columns_of(int stream) {
  winsize size = {};
  const bool known = ioctl(stream, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::size_t text_columns() {
  constexpr int kLeast = 40;
  const char* columns = std::getenv("COLUMNS");
  const int wanted = columns == nullptr ? 0 : std::atoi(columns);
  return wanted > 0 ? static_cast<std::size_t>(std::max(wanted, kLeast))
                    : columns_of(STDOUT_FILENO);
}

Option& Option::type(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::range(int low, int high) {
  option_->check(CLI::Range(low, high));
  return *this;
}

Option& Option::one_of(const std::vector<std::string>& allowed) {
  option_->check(CLI::IsMember(allowed));
  return suggest(allowed);
}

Option& Option::suggest(const std::vector<std::string>& values) {
  (*suggestions_)[option_] = values;
  return *this;
}

Option& Option::not_empty() {
  const auto check = [](const std::string& text) {
    return text.empty() ? std::string("is empty") : std::string();
  };
  option_->check(CLI::Validator(check, ""));
  return *this;
}

Option& Option::one_value() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::show_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Option& Option::group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Command Command::add_command(const std::string& name, const std::string& help) {
  return {*app_->add_subcommand(name, help), *shared_};
}

std::string Command::name() const {
  std::string names = app_->get_name();
  for (const CLI::App* at = app_->get_parent(); at != nullptr; at = at->get_parent()) {
    names = at->get_name() + ' ' + names;
  }
  return names;
}

Option Command::add(const std::string& name, std::string& value, const std::string& help) {
  return {*app_->add_option(name, value, help), shared_->suggestions};
}

Option Command::add(const std::string& name, int& value, const std::string& help) {
  return {*app_->add_option(name, value, help), shared_->suggestions};
}

Option Command::add(const std::string& name, std::vector<std::string>& values,
                    const std::string& help) {
  return {*app_->add_option(name, values, help), shared_->suggestions};
}

Option Command::add(const std::string& name, bool& flag, const std::string& help) {
  return {*app_->add_flag(name, flag, help), shared_->suggestions};
}

void Command::refuse(const std::string& name, const std::string& why) {
  app_->add_option_function<std::string>(name, [=](const std::string&) { refuse_given(name, why); })
      ->group("");
}

void Command::refuse_flag(const std::string& name, const std::string& why) {
  app_->add_flag_function(name, [=](std::int64_t) { refuse_given(name, why); })->group("");
}

Option Command::option(const std::string& name) const {
  return {*app_->get_option(name), shared_->suggestions};
}

CommandDescription Command::describe() const {
  CommandDescription command{name(), app_->get_description(), {}, {}};
  for (const CLI::Option* option : app_->get_options()) {
    if (option->get_group().empty()) continue;
    const std::string type = option->get_type_name();  // followed by the ranges: "N:INT in [0 - 9]"
    const bool flag = option->get_items_expected_max() == 0;
    OptionDescription described{.name = option->get_single_name(),
                                .type = flag ? "" : type.substr(0, type.find(':')),
                                .help = option->get_description(),
                                .fallback = flag ? "" : option->get_default_str(),
                                .suggestions = {},
                                .positional = option->get_positional(),
                                .required = option->get_required(),
                                .repeatable = option->get_items_expected_max() > 1};
    if (!described.positional) described.name = "--" + described.name;
    const auto offered = shared_->suggestions.find(option);
    if (offered != shared_->suggestions.end()) described.suggestions = offered->second;
    command.options.push_back(std::move(described));
  }
  for (CLI::App* below : app_->get_subcommands({})) {
    if (!below->get_group().empty()) {
      command.commands.push_back(Command(*below, *shared_).describe());
    }
  }
  return command;
}

void Command::hide() { app_->group(""); }

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::require_command() { app_->require_subcommand(1); }

void Command::action(Action run) {
  app_->callback([run = std::move(run), app = app_, shared = shared_] {
    shared->action = run;
    shared->explain = shared->explanations[app];
  });
}

void Command::explain_errors(Explanation complete) {
  shared_->explanations[app_] = std::move(complete);
}

struct Program::State {
  CLI::App app;
  Command::Shared shared;
};

Program::Program(const std::string& name, const std::string& description,
                 const std::string& version)
    : state_(new State{CLI::App(description, name), {}}) {
  state_->app.formatter(std::make_shared<FoldingFormatter>());
  state_->app.set_version_flag("--version", version);
  state_->app.require_subcommand(1);
}

Program::~Program() = default;

Command Program::root() { return {state_->app, state_->shared}; }

Command::Action Program::parse(int argc, char** argv) {
  const CLI::App& app = state_->app;
  try {
    state_->app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw Error(usage_message(app, error, argc, argv));
    // The output of --help depends on the kind of the exception.
    std::ostringstream text;
    const int code = app.exit(error, text, text);
    return [code, shown = text.str()] {
      std::cout << shown << std::flush;
      return code;
    };
  }
  return [action = state_->shared.action, explain = state_->shared.explain] {
    if (!explain) return action();
    try {
      return action();
    } catch (const Error& error) {
      throw Error(explain(error.what()));
    }
  };
}

}  // namespace crosstate::cli
