// Which known name a mistyped one was probably meant to be.
#pragma once

#include <cstddef>
#include <string_view>

namespace crosstate {

/// Levenshtein distance: how many letters must be inserted, removed or replaced.
std::size_t edit_distance(std::string_view from, std::string_view to);

}  // namespace crosstate
