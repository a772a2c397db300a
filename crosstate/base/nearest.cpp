#include "crosstate/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace crosstate {
namespace {

// The initials of the words separated by underscores.
std::string initials(std::string_view name) {
  std::string letters;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (i == 0 || name[i - 1] == '_') letters += name[i];
  }
  return letters;
}

// Whether the name is `known` with letters omitted, but not the first one.
bool abbreviates(std::string_view name, std::string_view known) {
  if (name.empty() || known.empty() || name.front() != known.front()) return false;
  for (const char letter : known) {
    if (!name.empty() && name.front() == letter) name.remove_prefix(1);
  }
  return name.empty();
}

}  // namespace

// Dynamic programming over one row of the table at a time.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] != to[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[to.size()];
}

std::size_t name_distance(std::string_view name, std::string_view known) {
  if (name == known) return 0;
  const std::size_t distance = edit_distance(name, known);
  const std::size_t shorter = std::min(name.size(), known.size());
  if (distance <= (shorter + 2) / 3 && distance < shorter) return distance;
  constexpr std::size_t kLongest = 80;  // larger distances are not distinguished
  const std::size_t rest = std::min(std::max(name.size(), known.size()) - shorter, kLongest);
  if (shorter >= 2) {
    if (known.starts_with(name) || name.starts_with(known)) return 100 + rest;
    if (name == initials(known)) return 200;
    if (known.find(name) != known.npos || name.find(known) != name.npos) return 300;
    if (abbreviates(name, known)) return 400;
  }
  return kUnlike + distance;
}

const std::string& nearest_name(std::string_view name, const std::vector<std::string>& known) {
  name = name.substr(0, 60);
  return *std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return name_distance(name, a) < name_distance(name, b);
  });
}

}  // namespace crosstate
