// Completion in shells, and the manual page.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

class CliShell : public Cli {
 protected:
  // Output of a script, with the program in PATH.
  std::string shell(const std::string& command, const std::string& script) const {
    write("script", "export PATH=" + fs::path(CROSSTATE_PROGRAM).parent_path().string() +
                        ":$PATH\ncd " + directory_.string() + "\n" + script);
    const int code = std::system(
        (command + ' ' + path("script") + " > " + path("shown") + " 2>&1 " + "< /dev/null")
            .c_str());
    const std::string shown = read_file(path("shown"));
    EXPECT_EQ(code, 0) << shown;
    return shown;
  }

  static bool installed(const std::string& program) {
    return std::system(("command -v " + program + " > /dev/null").c_str()) == 0;
  }

  // The words that may stand in place of the last one.
  std::vector<std::string> candidates(const std::vector<std::string>& words,
                                      const std::string& also = "words") const {
    std::vector<std::string> arguments = {"completion", "candidates", "--"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const Result result = call(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> found = lines_of(result.out);
    if (found.empty()) return {"nothing"};
    EXPECT_EQ(found.front(), also) << result.out;
    found.erase(found.begin());
    for (std::string& line : found) line = line.substr(0, line.find('\t'));
    return found;
  }

  // What appears on the terminal of an interactive shell in which `keys` are typed.
  std::string typed(const std::string& command, const std::string& keys) const {
    write("keys", keys);
    write("type.py", R"(
import os, pty, signal, sys
signal.alarm(60)
child, terminal = pty.fork()
if child == 0:
    os.environ.update(TERM="dumb", PS1="READY ", INPUTRC="/dev/null")
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b""
try:
    for number, line in enumerate(open("keys").read().splitlines(), 1):
        while shown.count(b"READY ") < number:
            shown += os.read(terminal, 4096)
        os.write(terminal, line.encode() + b"\n")
    while chunk := os.read(terminal, 4096):
        shown += chunk
except OSError:
    pass  # the shell has ended
os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
)");
    return shell("bash", "python3 type.py " + command);
  }

  // What bash replaces the word at the cursor, the end of `line`, by.
  std::vector<std::string> in_bash(const std::string& line) const {
    // Splits words as readline does, at white space and at = and :, which are words of their own.
    return lines_of(shell("bash --norc", R"(set -eu
source <(crosstate completion bash)
compopt() { :; }
COMP_LINE=$(cat line) COMP_POINT=$(wc -c < line) COMP_WORDS=()
while read -r word; do COMP_WORDS+=("$word"); done < <(cat words)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_crosstate "${COMP_WORDS[0]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
)" + after(line)));
  }

 private:
  // Writes the line and its words to files; adds nothing to the script.
  std::string after(const std::string& line) const {
    std::string words, word;
    const auto end = [&] {
      if (!word.empty()) words += word + '\n';
      word.clear();
    };
    for (const char c : line) {
      if (c == ' ') {
        end();
      } else if ((c == '=') != (word == "=")) {
        end();
        word = c;
      } else {
        word += c;
      }
    }
    words += word + '\n';  // empty behind a space
    write("line", line);
    write("words", words);
    return "";
  }
};

TEST_F(CliShell, CompletesCommandsAndOptions) {
  EXPECT_THAT(candidates({""}), IsSupersetOf({"train", "bench", "completion", "man"}));
  EXPECT_THAT(candidates({"s"}), ElementsAre("simulate", "stream", "sweep", "search", "settings"));
  EXPECT_THAT(candidates({"--"}), ElementsAre("--help", "--version"));
  EXPECT_THAT(candidates({"bench", ""}), ElementsAre("train", "scan", "infer", "array", "chip"));
  EXPECT_THAT(
      candidates({"train", "--"}),
      AllOf(IsSupersetOf({"--config", "--set", "--out", "--seed"}), Each(StartsWith("--"))));
  // An option is offered once unless it may be repeated; those without effect are not offered.
  EXPECT_THAT(candidates({"train", "--quiet", "--out=x", "--set", "model.states=4", "--"}),
              AllOf(Contains("--set"), Not(Contains("--quiet")), Not(Contains("--out"))));
  EXPECT_THAT(candidates({"eval", "--"}), Not(Contains("--seed")));
  EXPECT_THAT(candidates({"completion", ""}), ElementsAre("bash", "zsh"));
  EXPECT_THAT(candidates({"no-such-command", "x"}), IsEmpty());
  EXPECT_THAT(call({"completion", "candidates"}).out, HasSubstr("train"));
}

TEST_F(CliShell, CompletesValues) {
  EXPECT_THAT(candidates({"simulate", "--target", "rr"}, "files"), ElementsAre("rram-cmo"));
  EXPECT_THAT(candidates({"simulate", "--target=rr"}, "files"), ElementsAre("--target=rram-cmo"));
  EXPECT_THAT(candidates({"cost", "--target", "mcu"}, "files"),
              ElementsAre("mcu-fp32", "mcu-int8"));
  EXPECT_THAT(candidates({"eval", "--backend", ""}),
              ElementsAre("float", "fake", "integer", "reference"));
  EXPECT_THAT(candidates({"device", "hermes"}), ElementsAre("hermes", "hermes-single"));
  EXPECT_THAT(candidates({"stream", "m.safetensors", "--output", "s"}), Contains("step"));
  EXPECT_THAT(candidates({"eval", ""}, "files"), IsEmpty());
  EXPECT_THAT(candidates({"train", "--out", ""}, "directories"), IsEmpty());
  EXPECT_THAT(candidates({"train", "--seed", ""}), IsEmpty());
  // Behind the arguments that a command takes, its options.
  EXPECT_THAT(candidates({"eval", "m.safetensors", ""}), Contains("--backend"));
}

TEST_F(CliShell, CompletesSettingsFromTheListOfFields) {
  EXPECT_THAT(candidates({"train", "--set", "mod"}, "nospace"), ElementsAre("model."));
  EXPECT_THAT(candidates({"train", "--set", "model.nor"}, "nospace"), ElementsAre("model.norm="));
  EXPECT_THAT(candidates({"train", "--set", "model.norm="}),
              ElementsAre("model.norm=batch", "model.norm=layer", "model.norm=none"));
  EXPECT_THAT(candidates({"train", "--set=model.norm=l"}), ElementsAre("--set=model.norm=layer"));
  EXPECT_THAT(candidates({"train", "--set", "run.prune="}),
              ElementsAre("run.prune=true", "run.prune=false"));
  EXPECT_THAT(candidates({"train", "--set", "model.channels="}), IsEmpty());
  EXPECT_THAT(candidates({"eval", "--set", "model."}, "nospace"), IsEmpty());  // not used by eval
  // Every key of every command is accepted by `settings`, and described.
  const nlohmann::json all = parse_json(call({"settings", "--json", "-"}).out);
  std::vector<std::string> keys;
  for (const nlohmann::json& setting : all) keys.push_back(setting["key"].get<std::string>() + '=');
  EXPECT_THAT(keys, IsSupersetOf(candidates({"train", "--set", "quant."}, "nospace")));
}

TEST_F(CliShell, CompletesInBash) {
  shell("bash -n", call({"completion", "bash"}).out);
  EXPECT_THAT(in_bash("crosstate sw"), ElementsAre("sweep"));
  EXPECT_THAT(in_bash(std::string(CROSSTATE_PROGRAM) + " bench "),
              ElementsAre("train", "scan", "infer", "array", "chip"));
  EXPECT_THAT(in_bash("crosstate train --set quant.pres"), ElementsAre("quant.preset="));
  // = ends a word for bash, which keeps the part before it.
  EXPECT_THAT(in_bash("crosstate train --set model.norm="), ElementsAre("batch", "layer", "none"));
  EXPECT_THAT(in_bash("crosstate train --set model.norm=l"), ElementsAre("layer"));
  EXPECT_THAT(in_bash("crosstate simulate m --target=her"), ElementsAre("hermes"));
  EXPECT_THAT(in_bash("crosstate train --set model.norm=layer --thr"), ElementsAre("--threads"));
  EXPECT_THAT(in_bash("crosstate train --config "), IsEmpty());  // left to bash, which offers files
}

// Typed into an interactive shell on a terminal, with the key Tab.
TEST_F(CliShell, CompletesAtThePromptOfBash) {
  const std::string shown = typed("bash --norc --noprofile -i",
                                  "source <(crosstate completion bash)\n"
                                  "crosstate sett\tmodel.norm\n"
                                  "crosstate train --set model.norm=l\t--set model.channels=0\n"
                                  "exit\n");
  EXPECT_THAT(shown, AllOf(HasSubstr("(batch, layer, none)"), HasSubstr("model.channels = 0")));
}

TEST_F(CliShell, CompletesInZsh) {
  if (!installed("zsh")) GTEST_SKIP() << "no zsh";
  shell("zsh -n", call({"completion", "zsh"}).out);
  const std::string shown =
      typed("zsh -f -i",
            "autoload -U compinit; compinit -u -d dump; source <(crosstate completion zsh)\n"
            "crosstate sett\tmodel.norm\n"
            "crosstate train --set model.norm=l\t--set model.channels=0\n"
            "exit\n");
  EXPECT_THAT(shown, AllOf(HasSubstr("(batch, layer, none)"), HasSubstr("model.channels = 0")));
}

TEST_F(CliShell, ManualHasEveryCommandOptionAndSetting) {
  const std::string page = call({"man"}).out;
  write("crosstate.1", page);
  const nlohmann::json all = parse_json(call({"settings", "--json", "-"}).out);
  for (const nlohmann::json& setting : all) {
    EXPECT_THAT(page, HasSubstr("\n\\fB" + setting["key"].get<std::string>() + "\\fR "));
  }
  for (const std::string command : {"train", "quantize", "bench scan", "completion zsh"}) {
    EXPECT_THAT(page, HasSubstr("\n.SS " + command + '\n'));
  }
  EXPECT_THAT(page, AllOf(HasSubstr("\\fB\\-\\-state\\-errors\\fR"),
                          Not(HasSubstr(".SS completion candidates"))));
  if (!installed("groff")) GTEST_SKIP() << "no groff";
  const std::string shown =
      shell("sh", "groff -man -ww -Tascii -rLL=100n crosstate.1 | sed 's/.\\x08//g'");
  EXPECT_THAT(shown, Not(HasSubstr("warning:")));
  EXPECT_THAT(shown, AllOf(StartsWith("CROSSTATE(1)"), HasSubstr("--set SECTION.KEY=VALUE"),
                           HasSubstr("EXIT STATUS"), HasSubstr("crosstate COMMAND [OPTION]")));
}

}  // namespace
}  // namespace crosstate
