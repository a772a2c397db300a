// Lists of names in settings and in messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {

/// The entries of a setting such as data.classes, without surrounding spaces; empty ones are left
/// out. Commas separate them if there is one, otherwise spaces.
std::vector<std::string> split_list(std::string_view text);

/// Names for a message, sanitised by excerpt(): "a, b, c", or "a, b, ... (35 in all)" if there are
/// more than `most`.
template <class Names>
std::string listing(const Names& names, std::size_t most = 12) {
  std::string text;
  std::size_t named = 0;
  for (const std::string& name : names) {
    if (++named > most) return text + ", ... (" + std::to_string(names.size()) + " in all)";
    text += (text.empty() ? "" : ", ") + excerpt(name);
  }
  return text;
}

}  // namespace crosstate
