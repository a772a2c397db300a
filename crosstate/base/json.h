// JSON as text. nlohmann's code is slow to compile and therefore instantiated in one place: sources
// that only name nlohmann::json include <nlohmann/json_fwd.hpp>, sources that use values include
// json.hpp, and neither calls its parse() or dump() (except for ordered_json, whose order would be
// lost here).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace crosstate {

/// The value as text, on one line or, with an `indent` of 0 or more spaces, on several. Bytes that
/// are not UTF-8 (file names may have any bytes) become U+FFFD.
std::string json_text(const nlohmann::json& value, int indent = -1);
/// The same for text known to be UTF-8. Throws nlohmann::json::type_error for other bytes.
std::string exact_json_text(const nlohmann::json& value, int indent = -1);

/// Parses a text. Throws nlohmann::json::parse_error if it is not JSON.
nlohmann::json parse_json(std::string_view text);
/// The same, but returns a value that is_discarded() for text that is not JSON.
nlohmann::json try_parse_json(std::string_view text);

}  // namespace crosstate
