// crosstate man: the manual page, from the descriptions of the commands and the list of settings.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/common.h"
#include "crosstate/base/version.h"

namespace crosstate::cli {
namespace {

// Text in roff: hyphens as they are typed, no line that is taken for a request.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    const bool begins = escaped.empty() || escaped.back() == '\n';
    if (begins && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-' || c == '^' || c == '~' || c == '`') {
      escaped += c == '-' ? "\\-" : c == '^' ? "\\(ha" : c == '~' ? "\\(ti" : "\\(ga";
    } else if (c == '\'') {
      escaped += "\\(aq";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

std::string sentence(const std::string& text) {
  return roff(text) + (text.ends_with('.') ? "" : ".");
}

// A term and what it means.
std::string entry(const std::string& term, const std::string& meaning) {
  return ".TP\n" + term + '\n' + meaning + '\n';
}

std::string option_entry(const OptionDescription& option) {
  std::string term = option.positional ? italic(option.name) : bold(option.name);
  if (!option.positional && !option.type.empty()) term += ' ' + italic(option.type);
  std::string meaning = sentence(option.help);
  if (!option.suggestions.empty() && !option.help.ends_with("below")) {
    std::string values;
    for (const std::string& value : option.suggestions) {
      values += (values.empty() ? "" : ", ") + value;
    }
    if (option.help.find(option.suggestions.front()) == std::string::npos) {
      meaning += " One of " + roff(values) + '.';
    }
  }
  if (!option.fallback.empty()) meaning += " Default: " + roff(option.fallback) + '.';
  return entry(term, meaning);
}

std::string synopsis(const CommandDescription& command) {
  std::string line = bold(command.name) + " [" + italic("OPTION") + "]...";
  for (const OptionDescription& option : command.options) {
    if (!option.positional) continue;
    std::string text = italic(option.name) + (option.repeatable ? "..." : "");
    line += option.required ? ' ' + text : " [" + text + ']';
  }
  return line;
}

std::string section_of(const CommandDescription& command) {
  std::string text;
  if (command.commands.empty()) {
    const std::string name = command.name.substr(command.name.find(' ') + 1);
    text =
        ".SS " + roff(name) + '\n' + synopsis(command) + "\n.PP\n" + sentence(command.help) + '\n';
    for (const OptionDescription& option : command.options) {
      if (option.name != "--help") text += option_entry(option);
    }
  }
  for (const CommandDescription& below : command.commands) text += section_of(below);
  return text;
}

std::string setting_entry(const Field& field) {
  std::string term = bold(field.key) + ' ' + roff(field.text());
  if (!field.unit.empty()) term += ' ' + roff(field.unit);
  const std::string allowed = field.allowed();
  if (!allowed.empty()) term += " (" + roff(allowed) + ')';
  std::string commands;
  for (const std::string& command : commands_of(field.key)) {
    commands += (commands.empty() ? "" : ", ") + command;
  }
  return entry(term, sentence(field.help) + " Used by " + roff(commands) + '.');
}

std::string manual(const CommandDescription& program) {
  std::string text = ".TH CROSSTATE 1 \"\" \"crosstate " + std::string(kVersion) +
                     "\" \"User Commands\"\n"
                     ".nh\n"
                     ".SH NAME\n"
                     "crosstate \\- quantized state-space models on memristive crossbars\n"
                     ".SH SYNOPSIS\n" +
                     bold("crosstate") + ' ' + italic("COMMAND") + " [" + italic("OPTION") +
                     "]...\n.br\n" + bold("crosstate") + ' ' + italic("COMMAND") + ' ' +
                     bold("--help") + "\n.SH DESCRIPTION\n" + sentence(program.help) +
                     "\n.PP\nSettings have names of the form " + italic("section.key") +
                     " and are given in a TOML file (" + bold("--config") +
                     ") or on the command line (" + bold("--set") +
                     "), which takes precedence. The same seed gives the same result on any number "
                     "of threads.\n.SH COMMANDS\n";
  for (const CommandDescription& command : program.commands) text += section_of(command);
  text += ".SH SETTINGS\nEach with its default, its unit and what is allowed.\n";
  for (const Field& field : all_settings().all()) {
    if (!commands_of(field.key).empty()) text += setting_entry(field);
  }
  text +=
      ".SH EXIT STATUS\n" + entry(bold("0"), "Success.") +
      entry(bold("1"), "Some points of a sweep or search failed.") +
      entry(bold("2"),
            "Bad input: the message names the file, key or line, the value found and what is "
            "expected.") +
      entry(bold("130"), "Interrupted with Ctrl\\-C.") + ".SH ENVIRONMENT\n" +
      entry(bold("CROSSTATE_DATA_DIR"),
            "Directory of the files that come with the program: sample data, targets, constants "
            "of the cost model.") +
      entry(bold("COLUMNS"), "Width of text in columns.") + ".SH SEE ALSO\n" + bold("ngspice") +
      "(1), " + bold("mpirun") + "(1)\n";
  return text;
}

}  // namespace

void add_manual(Command root) {
  Command command = root.add_command("man", "Print the manual page: crosstate man | man -l -");
  command.action([=] {
    std::fputs(manual(root.describe()).c_str(), stdout);
    return kOk;
  });
}

}  // namespace crosstate::cli
