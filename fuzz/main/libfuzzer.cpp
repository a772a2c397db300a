// Entry point that libFuzzer calls with every generated input.
#include <cstddef>
#include <cstdint>

#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crosstate::fuzz::accepts(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
