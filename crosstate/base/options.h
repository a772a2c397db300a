// One list of fields per options struct, from which the command line, TOML, JSON and --help follow.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace crosstate {

/// One configurable value: its name, where it lives, what it may be, and a sentence on when to
/// change it.
struct Field {
  std::string key;  // "section.name"
  std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*> value;
  std::string help;
  std::string unit;          // "" where it has none
  double low = 0, high = 0;  // inclusive, used where has_range; may be infinite
  bool has_range = false;
  std::vector<std::string> choices;  // allowed strings; empty: any

  Field& range(double lowest, double highest);
  Field& in(std::string unit_name);
  Field& one_of(std::vector<std::string> allowed);
};

/// The fields of a configuration, bound to the structs that hold the values. Build it with the
/// `void fields(FieldList&, XOptions&)` function that stands beside each options struct.
class FieldList {
 public:
  /// Keys added from now on are "section.name".
  FieldList& section(std::string name);

  template <class T>
  Field& add(const std::string& name, T& value, std::string help) {
    return insert(name, &value, std::move(help));
  }

  const std::vector<Field>& all() const { return fields_; }

  /// Sets one key from text ("section.key=value" split at the first '='). Throws Error that names
  /// the nearest key for an unknown one, and the allowed range or choices for a bad value. Whole
  /// numbers are those of TOML from every source: below 2^63.
  void set(std::string_view assignment);

  /// Reads a TOML file of [section] tables. Errors carry file, line and key. Non-finite numbers,
  /// wrong types, unknown or repeated keys and more than 1 MiB are errors.
  void read_toml(const std::string& path);
  /// The same from the file's text; `path` names it in errors.
  void parse_toml(const std::string& text, const std::string& path);

  /// The values as {"section": {"key": value}}, and back (unknown keys are errors; `where` names
  /// the source in messages).
  nlohmann::json to_json() const;
  void from_json(const nlohmann::json& values, const std::string& where);

  /// The values as a TOML file that read_toml() accepts.
  std::string to_toml() const;

  /// One aligned line per field for --help: key, default (the current value), unit, range, help.
  std::string help() const;

 private:
  Field& insert(const std::string& name, decltype(Field::value) value, std::string help);

  std::string section_;
  std::vector<Field> fields_;
};

}  // namespace crosstate
