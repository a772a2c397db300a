#include "crosstate/exporter/c_text.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "crosstate/base/error.h"

namespace crosstate::exporter {
namespace {

constexpr std::int64_t kMost32 = std::numeric_limits<std::int32_t>::max();

template <class T>
constexpr CType type_of(const char* name) {
  return {name, std::int64_t{std::numeric_limits<T>::min()},
          std::int64_t{std::numeric_limits<T>::max()}, static_cast<int>(sizeof(T))};
}
constexpr CType kTypes[] = {type_of<std::int8_t>("int8_t"),   type_of<std::uint8_t>("uint8_t"),
                            type_of<std::int16_t>("int16_t"), type_of<std::uint16_t>("uint16_t"),
                            type_of<std::int32_t>("int32_t"), type_of<std::int64_t>("int64_t")};

// Words that may not be names in C or C++.
constexpr const char* kReserved[] = {
    "auto",   "break",    "case",   "char",   "class",  "const",    "continue", "default",
    "delete", "do",       "double", "else",   "enum",   "export",   "extern",   "float",
    "for",    "goto",     "if",     "inline", "int",    "long",     "main",     "new",
    "public", "register", "return", "short",  "signed", "sizeof",   "static",   "struct",
    "switch", "template", "this",   "throw",  "try",    "typedef",  "typename", "union",
    "using",  "unsigned", "void",   "while",  "bool",   "volatile", "operator", "private"};

// Headers that NAME.h would hide from the sources that include them.
constexpr const char* kHeaders[] = {
    "arduino",   "assert",  "complex", "ctype",  "errno",       "fenv",   "inttypes", "iso646",
    "limits",    "locale",  "math",    "memory", "setjmp",      "signal", "stdalign", "stdarg",
    "stdatomic", "stdbool", "stddef",  "stdint", "stdio",       "stdlib", "string",   "strings",
    "tgmath",    "threads", "time",    "uchar",  "stdnoreturn", "wchar",  "wctype"};

// Targets that CMake keeps for itself.
constexpr const char* kTargets[] = {"all",        "clean",        "edit_cache", "help",
                                    "install",    "test",         "package",    "package_source",
                                    "preinstall", "rebuild_cache"};

bool is_taken(const std::string& name) {
  const auto among = [&](const auto& words) {
    return std::find(std::begin(words), std::end(words), name) != std::end(words);
  };
  return among(kReserved) || among(kHeaders) || among(kTargets);
}

}  // namespace

const CType& smallest_type(std::int64_t low, std::int64_t high) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes),
                       [&](const CType& type) { return type.low <= low && high <= type.high; });
}

const CType& smallest_type(std::span<const std::int64_t> values) {
  std::int64_t low = 0, high = 0;
  for (const std::int64_t v : values) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  return smallest_type(low, high);
}

std::string c_number(std::int64_t value) {
  // The digits of the smallest number of a type are no constant of that type.
  if (value == std::numeric_limits<std::int64_t>::min()) return "(-INT64_MAX - 1)";
  if (value == -kMost32 - 1) return "(-INT32_MAX - 1)";
  const std::string digits = std::to_string(value);
  return value > kMost32 || value < -kMost32 ? "INT64_C(" + digits + ")" : digits;
}

std::string c_values(std::span<const std::int64_t> values) {
  constexpr std::size_t kMostColumns = 100;
  std::string text, line = " ";
  for (const std::int64_t value : values) {
    const std::string number = " " + c_number(value) + ",";
    if (line.size() + number.size() > kMostColumns) {
      text += line + "\n";
      line = " ";
    }
    line += number;
  }
  return text + line + "\n";
}

std::string c_array(const std::string& type, const std::string& name,
                    std::span<const std::int64_t> values) {
  static constexpr std::int64_t kNothing[] = {0};
  if (values.empty()) values = kNothing;
  const std::string head =
      "static const " + type + " " + name + "[" + std::to_string(values.size()) + "] = {";
  return head + "\n" + c_values(values) + "};\n";
}

std::string c_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += std::string("\\") + c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += '\\';  // always three digits, so that following ones are not taken for more
      for (const int shift : {6, 3, 0}) out += static_cast<char>('0' + ((byte >> shift) & 7));
    } else if (c == '?') {
      out += "\\?";  // two in a row begin a trigraph
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string c_prefix(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool usable = byte < 0x80 && std::isalnum(byte) != 0;
    if (!usable && (name.empty() || name.back() == '_')) continue;
    name += usable ? static_cast<char>(std::tolower(byte)) : '_';
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0 || is_taken(name)) {
    name = "model" + std::string(name.empty() ? "" : "_") + name;
  }
  return name;
}

void require_prefix(const std::string& prefix, const std::string& where) {
  if (c_prefix(prefix) == prefix) return;
  fail(where, "\"" + excerpt(prefix, 40) +
                  "\" cannot begin the names of C functions, expected lower-case letters, digits "
                  "and single underscores, for example \"" +
                  excerpt(c_prefix(prefix), 40) + "\"");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string fill(std::string text, const std::string& prefix) {
  std::string upper = prefix;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return replaced(replaced(std::move(text), "%n%", prefix), "%N%", upper);
}

}  // namespace crosstate::exporter
