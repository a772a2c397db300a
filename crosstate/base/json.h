// JSON as text. The code behind this is slow to compile, so that it is instantiated in one place:
// what only names nlohmann::json includes <nlohmann/json_fwd.hpp>, what uses values json.hpp, and
// neither calls its parse() or dump() (ordered_json, whose order this would lose, has its own).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace crosstate {

/// The value as text, on one line or, with an `indent` of 0 or more spaces, on several. Bytes that
/// are not UTF-8 (names of files may hold any) become U+FFFD.
std::string json_text(const nlohmann::json& value, int indent = -1);
/// The same of text that is known to be UTF-8. Throws nlohmann::json::type_error for other bytes.
std::string exact_json_text(const nlohmann::json& value, int indent = -1);

/// The value of a text. Throws nlohmann::json::parse_error where it is not JSON.
nlohmann::json parse_json(std::string_view text);
/// The same, but a value that is_discarded() for a text that is not JSON.
nlohmann::json try_parse_json(std::string_view text);

}  // namespace crosstate
