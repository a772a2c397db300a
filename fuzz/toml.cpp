// Configuration files for --config.
#include "fuzz/options.h"

void crosstate::fuzz::read(const std::string& bytes) {
  pipeline::RunOptions options;
  options.fields().parse_toml(bytes, "fuzz.toml");
  check_options(options);
}
