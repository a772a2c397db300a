#include "crosstate/base/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/nearest.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/toml.h"
#include "crosstate/base/utf8.h"

namespace crosstate {
namespace {

using nlohmann::json;

// A value as it is in a source (text, TOML, JSON), before it is checked against a field. Integers
// are those of TOML: 64 bits with a sign.
using Scalar = std::variant<bool, std::int64_t, double, std::string>;

// --- numbers as text
// -------------------------------------------------------------------------------

// The shortest text that reads back as the same number.
template <class T>
std::string to_text(T number) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return {buffer.data(), end};
}

// The whole text as one number, or nothing: no spaces, no '+', no trailing characters.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// --- what a field expects
// --------------------------------------------------------------------------

bool is_integer(const Field& field) {
  return std::holds_alternative<int*>(field.value) ||
         std::holds_alternative<std::int64_t*>(field.value) ||
         std::holds_alternative<std::uint64_t*>(field.value);
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += word.empty() ? "\"\"" : word;
  }
  return text;
}

// Integers in full, without an exponent.
std::string range_text(double low, double high, bool integers) {
  const auto text = [&](double limit) { return integers ? fixed_text(limit, 0) : to_text(limit); };
  if (std::isinf(high)) return text(low) + " or more";
  if (std::isinf(low)) return text(high) + " or less";
  return text(low) + " to " + text(high);
}

// The limits of the field's C++ type within those of a TOML integer.
std::pair<std::int64_t, std::int64_t> integer_limits(const Field& field) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (std::holds_alternative<int*>(field.value)) {
    return {std::numeric_limits<int>::min(), std::numeric_limits<int>::max()};
  }
  if (std::holds_alternative<std::uint64_t*>(field.value)) return {0, kMost};
  return {std::numeric_limits<std::int64_t>::min(), kMost};
}

std::string expectation(const Field& field) {
  if (!field.choices.empty()) return "one of " + field.allowed();
  if (std::holds_alternative<bool*>(field.value)) return "true or false";
  if (std::holds_alternative<std::string*>(field.value)) return "text";
  std::string text = is_integer(field) ? "an integer" : "a number";
  if (field.has_range) text += ", " + field.allowed();
  if (!field.unit.empty()) text += " (" + field.unit + ")";
  return text;
}

// --- checked assignment
// ----------------------------------------------------------------------------

[[noreturn]] void fail_value(const std::string& where, const Field& field,
                             const std::string& found) {
  fail(where, field.key + " = " + found + ", expected " + expectation(field));
}

std::string in_quotes(std::string_view text) { return '"' + excerpt(text) + '"'; }

// A double keeps a point or an exponent, so that TOML reads it back as a float.
std::string double_text(double number) {
  std::string text = to_text(number);
  if (std::isfinite(number) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string describe(const Scalar& scalar) {
  if (const bool* flag = std::get_if<bool>(&scalar)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&scalar)) return to_text(*integer);
  if (const double* number = std::get_if<double>(&scalar)) return double_text(*number);
  return in_quotes(std::get<std::string>(scalar));
}

// File names may have any bytes.
template <class T>
json json_value(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) return as_utf8(value);
  return value;
}

// Text must survive a round trip through TOML and JSON.
bool is_plain_text(const std::string& text) {
  const auto is_control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) return false;
  try {
    (void)exact_json_text(json(text));
    return true;
  } catch (const json::type_error&) {
    return false;
  }
}

void assign_bool(const Field& field, const Scalar& scalar, const std::string& where) {
  const bool* flag = std::get_if<bool>(&scalar);
  if (flag == nullptr) fail_value(where, field, describe(scalar));
  if (field.used) *std::get<bool*>(field.value) = *flag;
}

void assign_integer(const Field& field, const Scalar& scalar, const std::string& where) {
  const auto* integer = std::get_if<std::int64_t>(&scalar);
  if (integer == nullptr) fail_value(where, field, describe(scalar));
  if (field.has_range) {
    const auto number = static_cast<double>(*integer);
    if (number < field.low || number > field.high) fail_value(where, field, describe(scalar));
  }
  const auto [lowest, highest] = integer_limits(field);
  if (*integer < lowest || *integer > highest) {
    fail(where, field.key + " = " + to_text(*integer) + ", expected an integer, " +
                    to_text(lowest) + " to " + to_text(highest));
  }
  if (!field.used) return;
  if (auto* narrow = std::get_if<int*>(&field.value)) **narrow = static_cast<int>(*integer);
  if (auto* wide = std::get_if<std::int64_t*>(&field.value)) **wide = *integer;
  if (auto* natural = std::get_if<std::uint64_t*>(&field.value)) {
    **natural = static_cast<std::uint64_t>(*integer);
  }
}

void assign_double(const Field& field, const Scalar& scalar, const std::string& where) {
  double number = 0;
  if (const double* real = std::get_if<double>(&scalar)) {
    number = *real;
  } else if (const auto* integer = std::get_if<std::int64_t>(&scalar)) {
    number = static_cast<double>(*integer);
  } else {
    fail_value(where, field, describe(scalar));
  }
  const bool outside = field.has_range && (number < field.low || number > field.high);
  if (!std::isfinite(number) || outside) fail_value(where, field, to_text(number));
  if (field.used) *std::get<double*>(field.value) = number;
}

void assign_text(const Field& field, const Scalar& scalar, const std::string& where) {
  const auto* text = std::get_if<std::string>(&scalar);
  if (text == nullptr) fail_value(where, field, describe(scalar));
  if (!is_plain_text(*text)) {
    fail(where, field.key + ": expected UTF-8 text without control characters");
  }
  const bool known =
      std::find(field.choices.begin(), field.choices.end(), *text) != field.choices.end();
  for (const auto& [value, assignment] : field.former_values) {
    if (value == *text) {
      fail(where, field.key + " = " + describe(scalar) + " was replaced; write " + assignment);
    }
  }
  if (!field.choices.empty() && !known) fail_value(where, field, describe(scalar));
  if (!field.used) return;
  if (const auto* value = std::get_if<NamedValue>(&field.value)) {
    value->set(*text);
  } else {
    *std::get<std::string*>(field.value) = *text;
  }
}

// If the field is not used, its value is only checked.
void assign(const Field& field, const Scalar& scalar, const std::string& where) {
  if (std::holds_alternative<bool*>(field.value)) return assign_bool(field, scalar, where);
  if (is_integer(field)) return assign_integer(field, scalar, where);
  if (std::holds_alternative<double*>(field.value)) return assign_double(field, scalar, where);
  assign_text(field, scalar, where);
}

// Converts text to the type of the field; text that cannot be converted stays text, which assign()
// rejects.
Scalar parse_for(const Field& field, std::string_view text) {
  if (std::holds_alternative<bool*>(field.value)) {
    if (text == "true") return true;
    if (text == "false") return false;
  } else if (is_integer(field)) {
    if (const auto integer = parse_number<std::int64_t>(text)) return *integer;
  } else if (std::holds_alternative<double*>(field.value)) {
    if (const auto number = read_number<double>(text).value) return *number;
    if (const auto number = parse_number<double>(text)) return *number;  // nan, inf: shown bare
  }
  return std::string(text);
}

// --- finding keys
// ----------------------------------------------------------------------------------

std::string_view name_of(std::string_view key) { return key.substr(key.rfind('.') + 1); }
std::string_view section_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

// A prefix of a key that may be compared with all known ones: a file can have a key of a megabyte.
std::string_view beginning(std::string_view key) { return key.substr(0, 60); }

// Distance between a known key and a given one. In this order: similar names in the given section,
// the same name in other sections, similar sections, similar names elsewhere, and all other names
// in the given section.
std::size_t key_distance(std::string_view key, std::string_view known) {
  const std::string_view section = section_of(key), known_section = section_of(known);
  const std::size_t name = name_distance(name_of(key), name_of(known));
  if (section == known_section && name < kUnlike) return name;
  const std::size_t whole = edit_distance(key, known);
  if (name == 0) return 1000 + whole;
  if (section == known_section) return 4000 + whole;
  const std::size_t sections = name_distance(section, known_section);
  if (sections < kUnlike && name < kUnlike) return 2000 + sections + name;
  return (name < kUnlike ? 3000 + name : 5000) + whole;
}

// `used`: suggest only keys that are used.
[[noreturn]] void fail_unknown(const std::vector<Field>& fields, std::string_view key,
                               const std::string& where, bool used) {
  for (const Field& field : fields) {
    if (std::find(field.former.begin(), field.former.end(), key) == field.former.end()) continue;
    fail(where, in_quotes(key) + " was renamed; write " + in_quotes(field.key));
  }
  const Field* nearest = nullptr;
  std::size_t least = 0;
  for (const Field& field : fields) {
    if (used && !field.used) continue;
    const std::size_t distance = key_distance(beginning(key), field.key);
    if (nearest != nullptr && distance >= least) continue;
    nearest = &field;
    least = distance;
  }
  std::string message = "unknown key " + in_quotes(key);
  if (nearest != nullptr) message += "; the nearest key is " + in_quotes(nearest->key);
  fail(where, message);
}

bool is_section(const std::vector<Field>& fields, const std::string& key) {
  const std::string begin = key + '.';
  return std::any_of(fields.begin(), fields.end(),
                     [&](const Field& field) { return field.key.starts_with(begin); });
}

// A section without fields is an error even if it is empty.
void require_section(const std::vector<Field>& fields, const std::string& key,
                     const std::string& where) {
  if (is_section(fields, key)) return;
  const bool is_key = std::any_of(fields.begin(), fields.end(),
                                  [&](const Field& field) { return field.key == key; });
  if (is_key) fail(where, key + " is a value, not a section");
  const std::string_view begin = beginning(key);
  std::string_view nearest;
  for (const Field& field : fields) {
    const std::string_view section = section_of(field.key);
    if (nearest.empty() || name_distance(begin, section) < name_distance(begin, nearest)) {
      nearest = section;
    }
  }
  fail(where, "unknown section [" + excerpt(key) + "]; the nearest section is [" +
                  std::string(nearest) + "]");
}

void refuse_section_as_value(const std::vector<Field>& fields, const std::string& key,
                             const std::string& where) {
  if (is_section(fields, key)) fail(where, key + " is a section, not a value");
}

std::string joined_key(const std::string& section, std::string_view name) {
  return section.empty() ? std::string(name) : section + '.' + std::string(name);
}

// --- TOML
// ------------------------------------------------------------------------------------------

Scalar toml_scalar(const toml::node& node, const Field& field, const std::string& where) {
  if (const auto flag = node.value_exact<bool>()) return *flag;
  if (const auto integer = node.value_exact<std::int64_t>()) return *integer;
  if (const auto number = node.value_exact<double>()) return *number;
  if (auto text = node.value_exact<std::string>()) return std::move(*text);
  fail_value(where, field, node.is_array() ? "an array" : "a date or time");
}

const Field& known(const FieldList& list, std::string_view key, const std::string& where,
                   bool used = false) {
  const Field* found = list.find(key);
  if (found == nullptr) fail_unknown(list.all(), key, where, used);
  return *found;
}

void assign_toml(const FieldList& list, const toml::table& table, const std::string& section,
                 const std::string& path) {
  for (const auto& [name, node] : table) {
    const std::string key = joined_key(section, name.str());
    const std::string where = toml_place(path, name.source());
    if (const toml::table* inner = node.as_table()) {
      require_section(list.all(), key, where);
      assign_toml(list, *inner, key, path);
    } else {
      refuse_section_as_value(list.all(), key, where);
      const Field& field = known(list, key, where);
      assign(field, toml_scalar(node, field, where), where);
    }
  }
}

// --- JSON
// ------------------------------------------------------------------------------------------

Scalar json_scalar(const json& value, const Field& field, const std::string& where) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    fail_value(where, field, exact_json_text(value));
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  fail_value(where, field, value.is_null() ? "null" : "an array");
}

void assign_json(const FieldList& list, const json& object, const std::string& section,
                 const std::string& where) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = joined_key(section, name);
    if (value.is_object()) {
      require_section(list.all(), key, where);
      assign_json(list, value, key, where);
    } else {
      refuse_section_as_value(list.all(), key, where);
      const Field& field = known(list, key, where);
      assign(field, json_scalar(value, field, where), where);
    }
  }
}

json::json_pointer pointer_to(std::string_view key) {
  std::string path = '/' + std::string(key);
  std::replace(path.begin(), path.end(), '.', '/');
  return json::json_pointer(path);
}

// --- keys
// ----------------------------------------------------------------------------------------------

// Whether a pattern of use_only() matches a key.
bool matches(std::string_view pattern, std::string_view key) {
  return pattern.ends_with('.') ? key.starts_with(pattern) : key == pattern;
}

std::vector<std::string> sections_in_order(const std::vector<Field>& fields) {
  std::vector<std::string> sections;
  for (const Field& field : fields) {
    if (!field.used) continue;
    const std::string section(section_of(field.key));
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      sections.push_back(section);
    }
  }
  return sections;
}

}  // namespace

bool selects(const std::vector<std::string>& keys, std::string_view key) {
  bool selected = false;
  for (const std::string& pattern : keys) {
    const bool excludes = pattern.starts_with('!');
    if (matches(std::string_view(pattern).substr(excludes ? 1 : 0), key)) selected = !excludes;
  }
  return selected;
}

json Field::current() const {
  return std::visit([](const auto& at) { return json_value(*at); }, value);
}

// A JSON string is a valid basic string in TOML.
std::string Field::text() const {
  if (const auto* number = std::get_if<double*>(&value)) return double_text(**number);
  return exact_json_text(current());
}

std::string Field::allowed() const {
  if (!choices.empty()) return join(choices);
  return has_range ? range_text(low, high, is_integer(*this)) : "";
}

Field& Field::range(double lowest, double highest) {
  low = lowest;
  high = highest;
  has_range = true;
  return *this;
}

Field& Field::in(std::string unit_name) {
  unit = std::move(unit_name);
  return *this;
}

Field& Field::one_of(std::vector<std::string> allowed) {
  choices = std::move(allowed);
  return *this;
}

Field& Field::renamed_from(std::string name) {
  former.push_back(joined_key(std::string(section_of(key)), name));
  return *this;
}

Field& Field::replaced_value(std::string former_value, std::string assignment) {
  former_values.emplace_back(std::move(former_value), std::move(assignment));
  return *this;
}

FieldList& FieldList::section(std::string name) {
  section_ = std::move(name);
  return *this;
}

Field& FieldList::insert(const std::string& name, decltype(Field::value) value, std::string help) {
  Field field;
  field.key = joined_key(section_, name);
  field.value = value;
  field.help = std::move(help);
  if (const auto* choice = std::get_if<NamedValue>(&value)) field.choices = choice->names();
  if (!places_.try_emplace(field.key, fields_.size()).second) {
    throw std::logic_error("field added twice: " + field.key);
  }
  fields_.push_back(std::move(field));
  return fields_.back();
}

Field& FieldList::add_like(const Field& other, const std::string& name) {
  Field& field = insert(name, other.value, other.help);
  field.unit = other.unit;
  field.low = other.low;
  field.high = other.high;
  field.has_range = other.has_range;
  field.choices = other.choices;
  field.former_values = other.former_values;
  return field;
}

const Field* FieldList::find(std::string_view key) const {
  const auto found = places_.find(std::string(key));
  return found == places_.end() ? nullptr : &fields_[found->second];
}

void FieldList::use_only(const std::vector<std::string>& keys, const std::string& user) {
  user_ = user;
  for (Field& field : fields_) field.used = false;
  for (const std::string& pattern : keys) {
    const bool excludes = pattern.starts_with('!');
    const std::string_view wanted = std::string_view(pattern).substr(excludes ? 1 : 0);
    bool matched = false;
    for (Field& field : fields_) {
      if (!matches(wanted, field.key)) continue;
      field.used = !excludes;
      matched = true;
    }
    if (!matched) throw std::logic_error("no field to use: " + pattern);
  }
}

void FieldList::tolerate(const FieldList& others) {
  for (const Field& other : others.fields_) {
    if (!places_.try_emplace(other.key, fields_.size()).second) continue;
    fields_.push_back(other);
    fields_.back().used = false;
  }
}

void FieldList::require_used(std::string_view key, const std::string& where) const {
  const Field* field = find(key);
  if (field == nullptr || field->used) return;
  fail(where, field->key + " has no effect in " + user_ + "; crosstate settings " + field->key +
                  " lists the commands that use it");
}

void FieldList::set(std::string_view assignment) {
  const std::string where = "option";
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    fail(where, in_quotes(assignment) + " has no '=', expected section.key=value");
  }
  const Field& field = known(*this, assignment.substr(0, equals), where, true);
  require_used(field.key, where);
  assign(field, parse_for(field, assignment.substr(equals + 1)), where);
}

void FieldList::read_toml(const std::string& path) {
  constexpr std::size_t kMostBytes = 1 << 20;
  parse_toml(read_file(path, kMostBytes), path);
}

void FieldList::parse_toml(const std::string& text, const std::string& path) {
  assign_toml(*this, parse_toml_table(text, path), "", path);
}

json FieldList::to_json() const {
  json values = json::object();
  for (const Field& field : fields_) {
    if (field.used) values[pointer_to(field.key)] = field.current();
  }
  return values;
}

void FieldList::from_json(const json& values, const std::string& where) {
  if (!values.is_object()) fail(where, "expected an object of sections");
  assign_json(*this, values, "", where);
}

std::string FieldList::to_toml() const {
  std::string text;
  for (const std::string& section : sections_in_order(fields_)) {
    if (!text.empty()) text += '\n';
    if (!section.empty()) text += '[' + section + "]\n";
    for (const Field& field : fields_) {
      if (!field.used || section_of(field.key) != section) continue;
      text += std::string(name_of(field.key)) + " = " + field.text() + '\n';
    }
  }
  return text;
}

}  // namespace crosstate
