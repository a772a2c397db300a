#include "crosstate/exporter/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "crosstate/integer/bounds.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerNetwork;

IntegerNetwork network() { return integer::fixtures::RandomNetwork(2).make(); }

TEST(GoldenVectors, AreDrawnAsDocumented) {
  const IntegerNetwork n = network();
  const GoldenVectors golden = golden_vectors(n, 2, 3);
  const std::uint64_t span = static_cast<std::uint64_t>(n.input.quant_max - n.input.quant_min) + 1;
  std::size_t at = 0;
  for (std::uint64_t s = 0; s < 2; ++s) {
    std::uint64_t x = 0x9e3779b9u * (s + 1) % (std::uint64_t{1} << 32);
    for (std::size_t t = 0; t < 3; ++t) {
      for (std::size_t i = 0; i < n.inputs; ++i, ++at) {
        if (s == 1 && t > 0) {  // odd sequences hold their codes for eight steps
          EXPECT_EQ(golden.codes[at], golden.codes[at - n.inputs]);
          continue;
        }
        x ^= x << 13 & 0xffffffff;
        x ^= x >> 17;
        x ^= x << 5 & 0xffffffff;
        EXPECT_EQ(golden.codes[at], static_cast<std::int64_t>(x % span) + n.input.quant_min);
      }
    }
  }
}

TEST(GoldenVectors, HaveScoresAndADigestOfEverySequence) {
  const IntegerNetwork n = network();
  const GoldenVectors golden = golden_vectors(n, 3, 5);
  ASSERT_EQ(golden.codes.size(), 15 * n.inputs);
  ASSERT_EQ(golden.scores.size(), 15 * n.outputs);
  ASSERT_EQ(golden.digests.size(), 3u);
  for (std::size_t s = 0; s < 3; ++s) {
    ScoreDigest digest;
    for (std::size_t i = 0; i < 5 * n.outputs; ++i)
      digest.add(golden.scores[s * 5 * n.outputs + i]);
    EXPECT_EQ(golden.digests[s], digest.value());
  }
}

// FNV-1a of the published test vectors' kind: eight bytes, the lowest first.
TEST(GoldenVectors, DigestsAreFnv1a) {
  ScoreDigest digest;
  EXPECT_EQ(digest.value(), 0xcbf29ce484222325u);
  digest.add(-2);
  std::uint64_t expected = 0xcbf29ce484222325u;
  for (int i = 0; i < 8; ++i) expected = (expected ^ (i == 0 ? 0xfeu : 0xffu)) * 0x100000001b3u;
  EXPECT_EQ(digest.value(), expected);
}

TEST(GoldenVectors, EndWhereScoresWouldNoLongerFit) {
  IntegerNetwork n = network();
  n.pool_last = n.every_step = false;
  n.score_steps = 62;
  for (std::int64_t& bias : n.decoder.bias) bias = std::int64_t{1} << 45;
  std::fill(n.scores.first.begin(), n.scores.first.end(), 1 << 10);
  const std::int64_t longest = integer::longest_sequence(n);
  ASSERT_GT(longest, 0);
  ASSERT_LT(longest, 1000);
  EXPECT_EQ(golden_vectors(n, 1, 100000).steps, static_cast<std::size_t>(longest));
}

}  // namespace
}  // namespace crosstate::exporter
