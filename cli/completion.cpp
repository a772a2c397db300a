// crosstate completion: completion for bash and zsh. The shells ask the program itself for the
// words that may follow, so that completion always fits the installed version.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string_view>

#include "cli/common.h"

namespace crosstate::cli {
namespace {

constexpr const char* kBash = R"(# Completion of crosstate for bash.
_crosstate() {
  # Bash separates words at = and :, which are joined again here.
  local line=${COMP_LINE:0:COMP_POINT} words=() word gap i program=${1/#\~/$HOME}
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    gap=${line%%[![:space:]]*}
    ((i == COMP_CWORD)) && word=${line#"$gap"}
    line=${line#"$gap$word"}
    if ((i > 1)) && [[ -z $gap && ($word == [=:]* || ${words[-1]} == *[=:]) ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done

  local answer=() candidate last=${words[-1]} before=
  mapfile -t answer < <("$program" completion candidates -- "${words[@]:1}" 2>/dev/null)
  # Only the part behind the last = is replaced.
  [[ $COMP_WORDBREAKS == *=* ]] && before=${last%"${last##*=}"}
  COMPREPLY=()
  for candidate in "${answer[@]:1}"; do
    candidate=${candidate%%$'\t'*}
    COMPREPLY+=("${candidate#"$before"}")
  done
  case ${answer[0]-} in
    nospace) compopt +o default -o nospace ;;
    directories) compopt +o default -o dirnames ;;
    files) ;;
    *) compopt +o default ;;
  esac
}
complete -o default -F _crosstate crosstate
)";

constexpr const char* kZsh = R"(#compdef crosstate
# Completion of crosstate for zsh.
_crosstate() {
  local -a answer values shown space
  local candidate program=${words[1]/#\~/$HOME}
  answer=("${(@f)$($program completion candidates -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  for candidate in "${(@)answer[2,-1]}"; do
    [[ -n $candidate ]] || continue
    values+=("${candidate%%$'\t'*}")
    shown+=("${candidate/$'\t'/  -- }")
  done
  [[ $answer[1] == nospace ]] && space=(-S '')
  if (( $#values )); then
    compadd -l -d shown "${space[@]}" -a values
    return
  fi
  [[ $PREFIX == --*=* ]] && compset -P '*='
  case $answer[1] in
    files) _files ;;
    directories) _files -/ ;;
    *) return 1 ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _crosstate "$@"
else
  compdef _crosstate crosstate
fi
)";

// What may stand in place of a word.
struct Candidates {
  std::vector<std::pair<std::string, std::string>> words;  // with a description
  bool files = false, directories = false;                 // names of these, too
  bool unfinished = false;  // no space after the word: more of it follows
};

class Completer {
 public:
  Completer(const CommandDescription& program, std::string_view word)
      : command_(&program), word_(word) {}

  // Takes a word before the one to be completed.
  void pass(const std::string& word) {
    if (awaiting_ != nullptr) {
      awaiting_ = nullptr;
    } else if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      const OptionDescription* option = find_option(word.substr(0, equals));
      given_.insert(word.substr(0, equals));
      if (option != nullptr && !option->type.empty() && equals == std::string::npos) {
        awaiting_ = option;
      }
    } else if (const CommandDescription* below = find_command(word); below != nullptr) {
      command_ = below;
    } else if (!word.starts_with('-')) {
      ++positionals_;
    }
  }

  Candidates finish() {
    const std::size_t equals = word_.find('=');
    if (awaiting_ != nullptr) {
      add_values(*awaiting_, "");
    } else if (word_.starts_with("--") && equals != std::string_view::npos) {
      const OptionDescription* option = find_option(word_.substr(0, equals));
      if (option != nullptr) add_values(*option, std::string(word_.substr(0, equals + 1)));
    } else if (word_.starts_with("-")) {
      add_options();
    } else if (!command_->commands.empty()) {
      for (const CommandDescription& below : command_->commands) {
        add(below.name.substr(below.name.rfind(' ') + 1), below.help);
      }
    } else if (const OptionDescription* next = next_positional(); next != nullptr) {
      add_values(*next, "");
    } else {
      add_options();
    }
    return std::move(found_);
  }

 private:
  const OptionDescription* find_option(std::string_view name) const {
    const auto& options = command_->options;
    const auto found = std::find_if(
        options.begin(), options.end(),
        [&](const OptionDescription& option) { return !option.positional && option.name == name; });
    return found == options.end() ? nullptr : &*found;
  }

  const CommandDescription* find_command(const std::string& name) const {
    for (const CommandDescription& below : command_->commands) {
      if (below.name == command_->name + ' ' + name) return &below;
    }
    return nullptr;
  }

  const OptionDescription* next_positional() const {
    std::size_t before = positionals_;
    for (const OptionDescription& option : command_->options) {
      if (!option.positional) continue;
      if (before == 0 || option.repeatable) return &option;
      --before;
    }
    return nullptr;
  }

  void add(const std::string& word, const std::string& help) {
    if (word.starts_with(word_)) found_.words.emplace_back(word, help);
  }

  void add_options() {
    for (const OptionDescription& option : command_->options) {
      if (option.positional || (given_.contains(option.name) && !option.repeatable)) continue;
      add(option.name, option.help);
    }
  }

  // `before` is the part of the word that names the option: "--set=".
  void add_values(const OptionDescription& option, const std::string& before) {
    if (option.type == kSettingType) {
      add_settings(before);
      return;
    }
    for (const std::string& value : option.suggestions) add(before + value, "");
    // An option that takes names and files offers files where no name fits.
    found_.directories = option.type == "DIR";
    found_.files = option.type.ends_with("FILE") || option.name == "MODEL" || option.name == "FILE";
  }

  // Sections first: all keys of a command would be hundreds.
  void add_settings(const std::string& before) {
    const std::string_view text = word_.substr(before.size());
    const std::size_t equals = text.find('=');
    std::set<std::string> sections;
    for (const std::string& key : settings_of(command_->name)) {
      const Field& field = *all_settings().find(key);
      if (equals != std::string_view::npos) {
        if (text.substr(0, equals) != key) continue;
        for (const std::string& value : values_to_offer(field)) add(before + key + '=' + value, "");
        return;
      }
      if (text.find('.') != std::string_view::npos) {
        add(before + key + '=', field.help);
      } else {
        sections.insert(key.substr(0, key.find('.') + 1));
      }
    }
    for (const std::string& section : sections) add(before + section, "");
    found_.unfinished = equals == std::string_view::npos;
  }

  const CommandDescription* command_;
  std::string_view word_;
  const OptionDescription* awaiting_ = nullptr;  // the option whose value comes next
  std::set<std::string> given_;
  std::size_t positionals_ = 0;
  Candidates found_;
};

// One line that says what else may be completed, then one line per candidate: the word, and behind
// a tab its description.
int print_candidates(const CommandDescription& program, const std::vector<std::string>& words) {
  const std::string last = words.empty() ? "" : words.back();
  Completer completer(program, last);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) completer.pass(words[i]);
  const Candidates found = completer.finish();
  const char* also = found.unfinished    ? "nospace"
                     : found.files       ? "files"
                     : found.directories ? "directories"
                                         : "words";
  std::printf("%s\n", also);
  for (const auto& [word, help] : found.words) {
    std::printf("%s\t%s\n", word.c_str(), help.c_str());
  }
  return kOk;
}

}  // namespace

void add_completion(Command root) {
  Command command = root.add_command(
      "completion", "Print completion of commands, options and settings for a shell");
  command.require_command();
  Command bash = command.add_command("bash",
                                     "For bash: source <(crosstate completion bash), or save it as "
                                     "~/.local/share/bash-completion/completions/crosstate");
  bash.action([] { return std::fputs(kBash, stdout) < 0 ? kBadInput : kOk; });
  Command zsh = command.add_command(
      "zsh",
      "For zsh, after compinit: source <(crosstate completion zsh), or save it as "
      "_crosstate in a directory of fpath");
  zsh.action([] { return std::fputs(kZsh, stdout) < 0 ? kBadInput : kOk; });
  Command candidates = command.add_command("candidates", "Words that may follow");
  candidates.hide();
  auto words = std::make_shared<std::vector<std::string>>();
  candidates.add("WORD", *words, "Words of the command line up to the cursor");
  candidates.action([=] { return print_candidates(root.describe(), *words); });
}

}  // namespace crosstate::cli
