// Plain IDX files.
#include "crosstate/data/mnist.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const data::IdxArray array = data::parse_idx(bytes, "fuzz.idx");
  std::size_t total = 1;
  for (const std::uint32_t d : array.dimensions) total *= d;
  require(!array.dimensions.empty(), "at least one dimension");
  require(array.data.size() == total, "as much data as the dimensions say");
}
