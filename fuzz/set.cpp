// Arguments of --set, one per line.
#include <sstream>

#include "fuzz/options.h"

void crosstate::fuzz::read(const std::string& bytes) {
  pipeline::RunOptions options;
  FieldList list = options.fields();
  std::istringstream lines(bytes);
  for (std::string line; std::getline(lines, line);) list.set(line);
  check_options(options);
}
