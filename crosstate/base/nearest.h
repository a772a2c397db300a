// The known name that is most similar to a mistyped one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crosstate {

/// Levenshtein distance: number of letters to be inserted, removed or replaced.
std::size_t edit_distance(std::string_view from, std::string_view to);

/// Dissimilarity of a name and a known one, 0 if they are equal. In this order: typing errors;
/// prefixes ("chan" of "channels"), parts and initials ("lr" of "learning_rate"); omitted letters;
/// and, from kUnlike on, all others, by edit distance.
std::size_t name_distance(std::string_view name, std::string_view known);
inline constexpr std::size_t kUnlike = 500;

/// The nearest of at least one name by name_distance().
const std::string& nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace crosstate
