// Fields of tables of comma-separated values.
#pragma once

#include <string>
#include <string_view>

namespace crosstate::formats {

/// A field of a line by RFC 4180: quoted if it contains separators of fields or lines, or quotes.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

}  // namespace crosstate::formats
