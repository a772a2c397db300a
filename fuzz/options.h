// What the targets of options share.
#pragma once

#include "crosstate/pipeline/options.h"
#include "fuzz/target.h"

namespace crosstate::fuzz {

/// Validates the options, then writes and reads them in each form: all must agree.
inline void check_options(RunOptions& options) {
  validate(options);
  const std::string json = options.fields().to_json().dump();
  RunOptions from_toml, from_json;
  from_toml.fields().parse_toml(options.fields().to_toml(), "written.toml");
  from_json.fields().from_json(options.fields().to_json(), "written.json");
  require(from_toml.fields().to_json().dump() == json, "TOML that reads back");
  require(from_json.fields().to_json().dump() == json, "JSON that reads back");
}

}  // namespace crosstate::fuzz
