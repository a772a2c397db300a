// Golden vectors: random input codes that a few lines of any language generate again, and the
// scores that belong to them.
#pragma once

#include <cstdint>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::exporter {

/// Sequence s begins with the 32-bit word x = 0x9e3779b9 (s + 1) mod 2^32. A draw is
///
///     x ^= x << 13;  x ^= x >> 17;  x ^= x << 5
///
/// and makes the code quant_min + x mod (quant_max - quant_min + 1). Even sequences draw every
/// input of every step; odd ones only in steps 0, 8, 16, ..., and repeat the codes until the next.
struct GoldenVectors {
  std::size_t sequences = 0, steps = 0;
  std::vector<std::int32_t> codes;     // [sequences][steps][inputs]
  std::vector<std::int64_t> scores;    // [sequences][steps][outputs], after every step
  std::vector<std::uint64_t> digests;  // [sequences]: see digest()
};

/// The scores are those of the scalar reference executor. Sequences are shortened to
/// longest_sequence().
GoldenVectors golden_vectors(const integer::IntegerNetwork& network, int sequences, int steps);

/// FNV-1a of the little-endian bytes of the scores of all steps of a sequence.
class ScoreDigest {
 public:
  void add(std::int64_t score) {
    for (int i = 0; i < 8; ++i) {
      value_ = (value_ ^ ((static_cast<std::uint64_t>(score) >> (8 * i)) & 0xff)) * kPrime;
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  static constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace crosstate::exporter
