// One list of fields per options struct, from which the command line, TOML, JSON and --help are
// derived.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "crosstate/base/named.h"

namespace crosstate {

/// One configurable value: its key, the bound variable, its range or choices, and a sentence on its
/// meaning.
struct Field {
  std::string key;  // "section.name"
  std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*, NamedValue> value;
  std::string help;
  std::string unit;          // "" if it has none
  double low = 0, high = 0;  // inclusive, if has_range; may be infinite
  bool has_range = false;
  std::vector<std::string> choices;  // allowed strings; empty: any
  std::vector<std::string> former;   // names of the key in earlier versions
  // Values of earlier versions, and the assignment that replaces each.
  std::vector<std::pair<std::string, std::string>> former_values;
  bool used = true;  // see FieldList::use_only()

  nlohmann::json current() const;  // the value
  std::string text() const;        // the value in TOML notation
  /// "1 to 1000", or the choices separated by commas; "" if there is no restriction.
  std::string allowed() const;

  Field& range(double lowest, double highest);
  Field& in(std::string unit_name);
  Field& one_of(std::vector<std::string> allowed);
  /// A name of the field in earlier versions, in the same section; using it is an error that gives
  /// the new name.
  Field& renamed_from(std::string name);
  /// A value of the field in earlier versions; using it is an error that gives the new setting.
  Field& replaced_value(std::string former_value, std::string assignment);
};

/// Whether `key` matches the patterns, as in FieldList::use_only().
bool selects(const std::vector<std::string>& keys, std::string_view key);

/// The fields of a configuration, bound to the structs that hold the values. Create it with the
/// `void fields(FieldList&, XOptions&)` function next to each options struct.
class FieldList {
 public:
  /// Keys added after this call are "section.name".
  FieldList& section(std::string name);

  /// Binds a value: a number, text, or a named enumeration (see kNames), whose names are the
  /// choices; an optional enumeration also allows "".
  template <class T>
  Field& add(const std::string& name, T& value, std::string help) {
    if constexpr (std::is_constructible_v<NamedValue, T&>) {
      return insert(name, NamedValue(value), std::move(help));
    } else {
      return insert(name, &value, std::move(help));
    }
  }

  /// Binds the variable of `other` a second time, as section.name.
  Field& add_like(const Field& other, const std::string& name);

  const std::vector<Field>& all() const { return fields_; }
  /// The field of a key; null for an unknown key.
  const Field* find(std::string_view key) const;

  /// Declares which fields are used: a key, or with a trailing point ("quant.") all keys with this
  /// prefix; a leading "!" excludes them again. Other fields remain known, since a file may have
  /// them for other commands: their values are checked and dropped. They are not listed, and
  /// passing one to set() is an Error that says that `user` ("crosstate eval") does not use it.
  void use_only(const std::vector<std::string>& keys, const std::string& user);
  /// Adds the fields of `others` as known but unused, unless they are already known.
  void tolerate(const FieldList& others);
  /// Throws Error (with `where`) for a known key that is not used.
  void require_used(std::string_view key, const std::string& where) const;

  /// Sets one key from text ("section.key=value", split at the first '='). Throws Error giving the
  /// nearest key for an unknown one, and the allowed range or choices for an invalid value.
  /// Integers are limited to those of TOML (below 2^63) in all sources.
  void set(std::string_view assignment);

  /// Reads a TOML file with [section] tables, optionally preceded by `version = 1`. Errors have
  /// file, line and key. Non-finite numbers, wrong types, unknown or repeated keys and more than 1
  /// MiB are errors.
  void read_toml(const std::string& path);
  /// The same from text; `path` names the file in errors.
  void parse_toml(const std::string& text, const std::string& path);

  /// The used values as {"section": {"key": value}}, and the inverse (unknown keys are errors;
  /// `where` names the source in messages).
  nlohmann::json to_json() const;
  void from_json(const nlohmann::json& values, const std::string& where);

  /// The used values as a TOML file that read_toml() accepts.
  std::string to_toml() const;

 private:
  Field& insert(const std::string& name, decltype(Field::value) value, std::string help);

  std::string section_, user_;
  std::vector<Field> fields_;
  std::unordered_map<std::string, std::size_t> places_;  // indices of keys in fields_
};

}  // namespace crosstate
