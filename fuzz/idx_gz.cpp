// Gzip-compressed IDX files. The checksum rejects most changes before the IDX reader, which has its
// own target.
#include "crosstate/base/files.h"
#include "crosstate/data/mnist.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  data::parse_idx(unpack_gzip(bytes, "fuzz.gz"), "fuzz.gz");
}
