// One list of fields per options struct, from which the command line, TOML, JSON and --help follow.
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

/// One configurable value: its name, where it lives, what it may be, and a sentence on when to
/// change it.
struct Field {
  std::string key;  // "section.name"
  std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*, NamedValue> value;
  std::string help;
  std::string unit;          // "" where it has none
  double low = 0, high = 0;  // inclusive, used where has_range; may be infinite
  bool has_range = false;
  std::vector<std::string> choices;  // allowed strings; empty: any
  std::vector<std::string> former;   // names that the key had in earlier versions
  bool used = true;                  // see FieldList::use_only()

  nlohmann::json current() const;  // the value
  std::string text() const;        // the value as TOML has it
  /// "1 to 1000", or the choices between commas; "" where anything goes.
  std::string allowed() const;

  Field& range(double lowest, double highest);
  Field& in(std::string unit_name);
  Field& one_of(std::vector<std::string> allowed);
  /// A name that the field had in its section before; writing it is an error that names the new
  /// one.
  Field& renamed_from(std::string name);
};

/// Whether keys as FieldList::use_only() takes them include `key`.
bool selects(const std::vector<std::string>& keys, std::string_view key);

/// The fields of a configuration, bound to the structs that hold the values. Build it with the
/// `void fields(FieldList&, XOptions&)` function that stands beside each options struct.
class FieldList {
 public:
  /// Keys added from now on are "section.name".
  FieldList& section(std::string name);

  /// Binds a value: a number, text, or an enumeration with names (see kNames), which are then the
  /// choices; of an optional enumeration, "" is one more.
  template <class T>
  Field& add(const std::string& name, T& value, std::string help) {
    if constexpr (std::is_constructible_v<NamedValue, T&>) {
      return insert(name, NamedValue(value), std::move(help));
    } else {
      return insert(name, &value, std::move(help));
    }
  }

  /// Binds what `other` is bound to once more, as section.name.
  Field& add_like(const Field& other, const std::string& name);

  const std::vector<Field>& all() const { return fields_; }
  /// The field of a key; null for an unknown one.
  const Field* find(std::string_view key) const;

  /// Declares what is used: a key, or with a point at its end ("quant.") all keys that begin so; a
  /// "!" before it excludes them again. The other fields stay known: a file may hold them for other
  /// commands, and their values are checked and dropped. They are listed nowhere, and naming one to
  /// set() is an Error, which says that `user` ("crosstate eval") does not use it.
  void use_only(const std::vector<std::string>& keys, const std::string& user);
  /// Makes the fields of `others` known, as such that are not used, unless they are known already.
  void tolerate(const FieldList& others);
  /// Throws Error (with `where`) for a known key that is not used.
  void require_used(std::string_view key, const std::string& where) const;

  /// Sets one key from text ("section.key=value" split at the first '='). Throws Error that names
  /// the nearest key for an unknown one, and the allowed range or choices for a bad value. Whole
  /// numbers are those of TOML from every source: below 2^63.
  void set(std::string_view assignment);

  /// Reads a TOML file of [section] tables, below `version = 1` or without it. Errors carry file,
  /// line and key. Non-finite numbers, wrong types, unknown or repeated keys and more than 1 MiB
  /// are errors.
  void read_toml(const std::string& path);
  /// The same from the file's text; `path` names it in errors.
  void parse_toml(const std::string& text, const std::string& path);

  /// The used values as {"section": {"key": value}}, and back (unknown keys are errors; `where`
  /// names the source in messages).
  nlohmann::json to_json() const;
  void from_json(const nlohmann::json& values, const std::string& where);

  /// The used values as a TOML file that read_toml() accepts.
  std::string to_toml() const;

 private:
  Field& insert(const std::string& name, decltype(Field::value) value, std::string help);

  std::string section_, user_;
  std::vector<Field> fields_;
  std::unordered_map<std::string, std::size_t> places_;  // of keys in fields_
};

}  // namespace crosstate
