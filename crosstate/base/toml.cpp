#include "crosstate/base/toml.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

// toml++ limits the depth of nested values but not that of dotted keys, and destroys its tables
// recursively. No valid key has more than two dots.
void refuse_deep_keys(std::string_view text, const std::string& path) {
  constexpr std::ptrdiff_t kMostDots = 32;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    std::ptrdiff_t dots = 0;
    char quote = 0;
    for (const char c : line) {
      if (quote == 0 && c == '#') break;
      if (quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
      } else if (c == quote) {
        quote = 0;
      }
      dots += quote == 0 && c == '.';
    }
    // An open quote may have begun on an earlier line.
    if (quote != 0) dots = std::count(line.begin(), line.end(), '.');
    if (dots > kMostDots) {
      fail(path + ':' + std::to_string(number),
           std::to_string(dots) + " dots in one line, expected at most " +
               std::to_string(kMostDots) + ": keys are section.name");
    }
  }
}

void take_version(toml::table& table, const std::string& path) {
  constexpr std::int64_t kVersion = 1;
  const auto found = table.find("version");
  if (found == table.end()) return;
  const std::string where = toml_place(path, found->second.source());
  const auto version = found->second.value_exact<std::int64_t>();
  if (!version) fail(where, "version: expected the integer " + std::to_string(kVersion));
  if (*version != kVersion) {
    fail(where,
         "version = " + std::to_string(*version) + ", expected " + std::to_string(kVersion) +
             (*version > kVersion ? ": it was written for a newer version of crosstate" : ""));
  }
  table.erase(found);
}

// The message for a key or table at a line (from 1) that is there for the second time; `what` where
// the line has more than one key.
std::string set_twice(std::string_view text, std::size_t line, std::string_view what) {
  for (std::size_t skipped = 1; skipped < line; ++skipped) {
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  }
  text = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  const bool is_table = text.starts_with('[');
  if (text.find('{') != std::string_view::npos) return std::string(what);
  std::size_t from = 0;  // of the end: behind a quoted key
  if (text.starts_with('"') || text.starts_with('\'')) from = text.find(text.front(), 1);
  const std::size_t end = is_table ? text.rfind(']') + 1 : text.find('=', from);
  if (end == 0 || end == std::string_view::npos) return std::string(what);
  std::string key(text.substr(0, end));
  while (key.ends_with(' ') || key.ends_with('\t')) key.pop_back();
  return key + " is there twice, expected once";
}

}  // namespace

std::string toml_place(const std::string& path, const toml::source_region& source) {
  return path + ':' + std::to_string(source.begin.line);
}

toml::table parse_toml_table(const std::string& text, const std::string& path) {
  refuse_deep_keys(text, path);
  try {
    toml::table table = toml::parse(text, path);
    take_version(table, path);
    return table;
  } catch (const toml::parse_error& error) {
    // The parser quotes what it found, including control characters. It garbles quoted keys that
    // are set twice.
    const std::string_view what = error.description();
    const std::string again = what.find("cannot redefine") == std::string_view::npos
                                  ? std::string(what)
                                  : set_twice(text, error.source().begin.line, what);
    fail(toml_place(path, error.source()), excerpt(again, 300));
  }
}

}  // namespace crosstate
