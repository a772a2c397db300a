// Options as JSON, as stored in networks and checkpoints.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "fuzz/options.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const nlohmann::json values = nlohmann::json::parse(bytes, nullptr, false);
  if (values.is_discarded()) fail("fuzz.json", "not JSON");
  pipeline::RunOptions options;
  options.fields().from_json(values, "fuzz.json");
  check_options(options);
}
