// Shared by the targets for options.
#pragma once

#include "crosstate/base/json.h"
#include "crosstate/pipeline/options.h"
#include "fuzz/target.h"

namespace crosstate::fuzz {

/// Validates the options, then writes and reads them in each form: all must agree.
inline void check_options(pipeline::RunOptions& options) {
  pipeline::validate(options);
  const std::string json = exact_json_text(options.fields().to_json());
  pipeline::RunOptions from_toml, from_json;
  from_toml.fields().parse_toml(options.fields().to_toml(), "written.toml");
  from_json.fields().from_json(options.fields().to_json(), "written.json");
  require(exact_json_text(from_toml.fields().to_json()) == json, "TOML that reads back");
  require(exact_json_text(from_json.fields().to_json()) == json, "JSON that reads back");
}

}  // namespace crosstate::fuzz
