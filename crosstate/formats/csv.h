// Text in tables of comma-separated values.
#pragma once

#include <string>
#include <string_view>

namespace crosstate::formats {

/// A field of a line as RFC 4180 has it: in quotes where it holds what separates fields or lines.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

}  // namespace crosstate::formats
