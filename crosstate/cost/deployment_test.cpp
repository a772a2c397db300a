#include "crosstate/cost/deployment.h"

#include <gtest/gtest.h>

#include "crosstate/cost/memory.h"
#include "crosstate/integer/testing.h"

namespace crosstate {
namespace {

class Formats : public testing::TestWithParam<int> {};

// Sizes, gates, activations, codings and roundings of every kind.
TEST_P(Formats, OfAnIntegerNetworkAreThoseOfItsOrigin) {
  const int number = GetParam();
  const Dataset set = integer_test::sequences(number);
  QuantOptions format = integer_test::format(number, number % 2 == 1);
  format.state.rounding = number % 5 == 3 ? "feedback" : "nearest";
  const Network network = integer_test::rounded_network(number, set, format);
  const Deployment from = deployment(network), to = deployment(to_integers(network));
  EXPECT_EQ(from.weights(), to.weights());
  EXPECT_EQ(from.biases(), to.biases());
  EXPECT_FALSE(from.in_floats());
  EXPECT_FALSE(to.in_floats());
  const MemorySummary a = count_memory(from), b = count_memory(to);
  for (const MemoryKind kind :
       {MemoryKind::kWeights, MemoryKind::kBiases, MemoryKind::kTables, MemoryKind::kState}) {
    EXPECT_EQ(a.bytes(kind), b.bytes(kind)) << name_of(kind);
  }
  // Powers of two may be the same for all rows.
  const std::size_t scales = b.bytes(MemoryKind::kScales);
  if (format.weight_scales == "free" || format.granularity == "tensor") {
    EXPECT_EQ(a.bytes(MemoryKind::kScales), scales);
  } else {
    EXPECT_LE(scales, a.bytes(MemoryKind::kScales));
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, Formats, testing::Range(0, 42));

TEST(Deployment, CountsTheParametersOfANetwork) {
  ModelOptions options;
  options.channels = 5;
  options.states = 6;
  options.layers = 3;
  options.norm = "none";
  const Network network(options, {3, 7}, 1);
  const Deployment d = deployment(network);
  // A block: 5 x 3 modes with complex A and C, D, 10 x 5 weights.
  EXPECT_EQ(d.weights(), 5u * 3 + 3 * (60 + 5 + 50) + 7 * 5);
  EXPECT_EQ(d.biases(), 5u + 3 * 10 + 7);
  EXPECT_TRUE(d.in_floats());
}

TEST(Deployment, KnowsASiteThatIsNotRounded) {
  const Dataset set = integer_test::sequences(1);
  QuantOptions format = integer_test::format(1, true);
  format.decoder.bits = 0;
  EXPECT_TRUE(deployment(integer_test::rounded_network(1, set, format)).in_floats());
}

}  // namespace
}  // namespace crosstate
