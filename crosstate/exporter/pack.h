// Weights of few bits as bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace crosstate::exporter {

/// How the codes of a table are stored.
enum class Packing {
  kPlain,    // an integer type for each
  kBits,     // `width` bits each: code + 2^(width-1), from the lowest bit of the first byte on
  kTernary,  // codes -1, 0, 1; five to a byte
  kSigns,    // codes -1 and 1; a bit each, 1 for 1
};

/// The packing of codes that are declared to have this many bits: bytes and 16-bit integers are
/// plain, everything else takes `width` bits each or less.
Packing packing_of(int width, std::span<const std::int64_t> codes);

/// The bytes of codes, one stream without gaps. kTernary: with the digits d = code + 1 of five
/// codes, the byte is ceil((81 d0 + 27 d1 + 9 d2 + 3 d3 + d4) 256 / 243), from which
/// multiplications by 3 bring out the digits one by one, the first first.
std::vector<std::int64_t> packed(Packing packing, int width, std::span<const std::int64_t> codes);

}  // namespace crosstate::exporter
