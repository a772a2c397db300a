// Names of values in a configuration: one table per kind, which also defines the allowed names.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {

template <class T>
struct Named {
  const char* name;
  T value;
};
// Compilers before C++20's deduction for aggregates (clang 14) need the guide.
template <class T>
Named(const char*, T) -> Named<T>;

template <class T, std::size_t N>
std::vector<std::string> names_of(const std::array<Named<T>, N>& table) {
  std::vector<std::string> names;
  for (const Named<T>& entry : table) names.emplace_back(entry.name);
  return names;
}

/// The value of `name`. Throws Error naming the key and all names of the table for an unknown name.
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

/// The names of an enumeration, each value once. An enumeration that is a setting defines them next
/// to itself:
///
///     enum class Norm { kLayer, kBatch };
///     constexpr auto enum_names(Norm) {
///       return std::array{Named{"layer", Norm::kLayer}, Named{"batch", Norm::kBatch}};
///     }
template <class E>
inline constexpr auto kNames = enum_names(E{});

template <class E>
requires std::is_enum_v<E> std::string name_of(E value) {
  for (const Named<E>& entry : kNames<E>) {
    if (entry.value == value) return entry.name;
  }
  return "";
}

/// "" if there is no value.
template <class E>
requires std::is_enum_v<E> std::string name_of(const std::optional<E>& value) {
  return value ? name_of(*value) : "";
}

/// A value of an enumeration with names, bound as text.
class NamedValue {
 public:
  template <class E>
  requires std::is_enum_v<E>
  explicit NamedValue(E& value)
      : value_(&value),
        names_([] { return names_of(kNames<E>); }),
        get_([](const void* at) { return name_of(*static_cast<const E*>(at)); }),
        set_([](void* at, std::string_view name) {
          *static_cast<E*>(at) = named(kNames<E>, name, "");
        }) {}

  /// The empty name means no value.
  template <class E>
  requires std::is_enum_v<E>
  explicit NamedValue(std::optional<E>& value)
      : value_(&value),
        names_([] {
          std::vector<std::string> names = names_of(kNames<E>);
          names.insert(names.begin(), "");
          return names;
        }),
        get_([](const void* at) { return name_of(*static_cast<const std::optional<E>*>(at)); }),
        set_([](void* at, std::string_view name) {
          std::optional<E>& to = *static_cast<std::optional<E>*>(at);
          to = name.empty() ? std::nullopt : std::optional(named(kNames<E>, name, ""));
        }) {}

  /// All names that the setting may have.
  std::vector<std::string> names() const { return names_(); }
  std::string operator*() const { return get_(value_); }
  /// `name` is one of names().
  void set(std::string_view name) const { set_(value_, name); }

 private:
  void* value_;
  std::vector<std::string> (*names_)();
  std::string (*get_)(const void*);
  void (*set_)(void*, std::string_view);
};

}  // namespace crosstate
