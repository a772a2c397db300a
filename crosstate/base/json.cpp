#include "crosstate/base/json.h"

#include <nlohmann/json.hpp>

namespace crosstate {

using nlohmann::json;

std::string json_text(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

std::string exact_json_text(const json& value, int indent) { return value.dump(indent); }

json parse_json(std::string_view text) { return json::parse(text); }

json try_parse_json(std::string_view text) { return json::parse(text, nullptr, false); }

}  // namespace crosstate
