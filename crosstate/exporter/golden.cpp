#include "crosstate/exporter/golden.h"

#include <algorithm>
#include <cstddef>

#include "crosstate/integer/bounds.h"
#include "crosstate/integer/reference.h"

namespace crosstate::exporter {

GoldenVectors golden_vectors(const integer::IntegerNetwork& network, int sequences, int steps) {
  constexpr std::uint32_t kSeed = 0x9e3779b9;
  constexpr std::size_t kHeld = 8;
  GoldenVectors golden;
  golden.sequences = static_cast<std::size_t>(sequences);
  golden.steps =
      static_cast<std::size_t>(std::min<std::int64_t>(steps, integer::longest_sequence(network)));
  const auto span =
      static_cast<std::uint32_t>(network.input.quant_max - network.input.quant_min) + 1;
  integer::ReferenceExecutor executor(network);
  for (std::size_t s = 0; s < golden.sequences; ++s) {
    std::uint32_t x = kSeed * static_cast<std::uint32_t>(s + 1);
    std::vector<std::int32_t> codes(network.inputs);
    ScoreDigest digest;
    executor.reset();
    for (std::size_t t = 0; t < golden.steps; ++t) {
      if (s % 2 == 0 || t % kHeld == 0) {
        for (std::int32_t& code : codes) {
          x ^= x << 13;
          x ^= x >> 17;
          x ^= x << 5;
          code = network.input.quant_min + static_cast<std::int32_t>(x % span);
        }
      }
      golden.codes.insert(golden.codes.end(), codes.begin(), codes.end());
      executor.step(codes);
      for (const std::int64_t score : executor.result().scores) {
        golden.scores.push_back(score);
        digest.add(score);
      }
    }
    golden.digests.push_back(digest.value());
  }
  return golden;
}

}  // namespace crosstate::exporter
