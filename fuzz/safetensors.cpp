// The safetensors container.
#include "crosstate/formats/safetensors.h"

#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const formats::Safetensors content = formats::parse_safetensors(bytes, "fuzz.safetensors");
  const std::string written = formats::format_safetensors(content);
  const std::string again =
      formats::format_safetensors(formats::parse_safetensors(written, "written.safetensors"));
  require(again == written, "a file that reads back");
}
