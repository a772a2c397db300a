// What names of a configuration stand for: one table for each kind, from which the names that are
// allowed follow, too.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {

template <class T>
struct Named {
  const char* name;
  T value;
};

template <class T, std::size_t N>
std::vector<std::string> names_of(const std::array<Named<T>, N>& table) {
  std::vector<std::string> names;
  for (const Named<T>& entry : table) names.emplace_back(entry.name);
  return names;
}

/// What `name` stands for. Throws Error that names the key and every name of the table for another
/// one.
template <class T, std::size_t N>
const T& named(const std::array<Named<T>, N>& table, std::string_view name,
               const std::string& key) {
  for (const Named<T>& entry : table) {
    if (name == entry.name) return entry.value;
  }
  std::string all;
  for (const Named<T>& entry : table) all += (all.empty() ? "" : ", ") + std::string(entry.name);
  fail("options", key + " = \"" + excerpt(name) + "\", expected one of " + all);
}

}  // namespace crosstate
