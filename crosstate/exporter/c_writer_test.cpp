#include "crosstate/exporter/c_writer.h"

#include <gtest/gtest.h>

#include "crosstate/integer/bounds.h"
#include "crosstate/integer/testing.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerNetwork;
using integer::fixtures::RandomNetwork;

TEST(NetworkWriter, StoresCodesInTheSmallestTypes) {
  const CNetworkOptions options;
  for (std::uint32_t number = 0; number < 20; ++number) {
    const IntegerNetwork n = RandomNetwork(number).make();
    const NetworkWriter w(n, options);
    for (const auto& [type, low, high] :
         {std::tuple{w.input, n.input.quant_min, n.input.quant_max},
          std::tuple{w.residual, n.residual.quant_min, n.residual.quant_max},
          std::tuple{w.state, -n.state_limit, n.state_limit}}) {
      EXPECT_LE(type.low, low);
      EXPECT_GE(type.high, high);
      const bool byte = (low >= -128 && high <= 127) || (low >= 0 && high <= 255);
      EXPECT_EQ(type.bytes, byte ? 1 : 2) << low << " .. " << high;
    }
    std::size_t modes = 0;
    for (const integer::IntegerBlock& b : n.blocks) modes += b.shape.modes();
    EXPECT_EQ(w.modes, modes);
  }
}

TEST(NetworkWriter, PoolsStepsWhoseSumsFit) {
  const CNetworkOptions options;
  IntegerNetwork n = RandomNetwork(6).make();
  n.pool_last = true;
  EXPECT_EQ(NetworkWriter(n, options).longest, 0u);
  n.pool_last = false;
  const std::uint64_t longest = NetworkWriter(n, options).longest;
  const auto largest = static_cast<std::uint64_t>(integer::magnitude(n.residual));
  EXPECT_LE(longest * largest, 0x7fffffffu);
  EXPECT_LE(longest, static_cast<std::uint64_t>(integer::longest_sequence(n)));
  EXPECT_TRUE((longest + 1) * largest > 0x7fffffffu ||
              longest == static_cast<std::uint64_t>(integer::longest_sequence(n)));
}

TEST(NetworkWriter, KnowsWhichStatesHaveAResidue) {
  const CNetworkOptions options;
  IntegerNetwork n = RandomNetwork(6).make();
  n.state_rounding = kernels::RoundingMode::kNoiseShaped;
  for (integer::IntegerBlock& b : n.blocks) b.residue_bits.assign(b.ar.size(), 0);
  EXPECT_FALSE(NetworkWriter(n, options).shaped());
  n.blocks[0].residue_bits[0] = 9;
  const NetworkWriter w(n, options);
  EXPECT_TRUE(w.shaped());
  EXPECT_EQ(w.residue.bytes, 2) << "-256 .. 255";
  EXPECT_FALSE(w.stochastic());
}

TEST(NetworkWriter, ComparesSumsOfRowsWith32Bits) {
  const CNetworkOptions options;
  const IntegerNetwork n = RandomNetwork(6).make();
  integer::IntegerMatrix m;
  m.rows = 1;
  m.columns = 2;
  m.weight = {3, -4};
  m.bias = {5};
  const NetworkWriter w(n, options);
  EXPECT_TRUE(w.rows_fit_32(m, (0x7fffffff - 5) / 7));
  EXPECT_FALSE(w.rows_fit_32(m, 0x7fffffff / 7 + 1));
  EXPECT_FALSE(w.rows_fit_32(m, 1, 0x7fffffff));
}

}  // namespace
}  // namespace crosstate::exporter
