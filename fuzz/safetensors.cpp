// The safetensors container.
#include "crosstate/formats/safetensors.h"

#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const Safetensors content = parse_safetensors(bytes, "fuzz.safetensors");
  const std::string written = format_safetensors(content);
  const std::string again = format_safetensors(parse_safetensors(written, "written.safetensors"));
  require(again == written, "a file that reads back");
}
