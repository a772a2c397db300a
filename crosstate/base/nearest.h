// Which known name a mistyped one was probably meant to be.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crosstate {

/// Levenshtein distance: how many letters must be inserted, removed or replaced.
std::size_t edit_distance(std::string_view from, std::string_view to);

/// How unlike a name is to a known one, 0 for the same. In this order: typing mistakes; beginnings
/// ("chan" of "channels"), parts and initials ("lr" of "learning_rate"); letters left out; and,
/// from kUnlike on, whatever else, by edit distance.
std::size_t name_distance(std::string_view name, std::string_view known);
inline constexpr std::size_t kUnlike = 500;

/// The name of at least one that is nearest by name_distance().
const std::string& nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace crosstate
