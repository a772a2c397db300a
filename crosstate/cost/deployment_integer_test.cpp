// Formats of integer networks whose numbers are changed one by one; deployment_test.cpp compares
// whole networks with their origin.
#include <gtest/gtest.h>

#include "crosstate/cost/deployment.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

integer::IntegerNetwork network() {
  return integer::to_integers(
      fixtures::rounded(fixtures::shape(3, 6, true, true), {2, 5}, quant::quant_preset("w4a8s6")));
}

TEST(DeploymentOfIntegers, HasTheFormatsOfThePreset) {
  const Deployment d = deployment(network());
  EXPECT_EQ(d.inputs, 2u);
  EXPECT_EQ(d.channels, 3u);
  EXPECT_EQ(d.outputs, 5u);
  EXPECT_TRUE(d.complex);
  EXPECT_TRUE(d.gated);
  EXPECT_EQ(d.state_bits, 6);
  EXPECT_EQ(d.encoder.bits, 4);
  EXPECT_EQ(d.encoder.scales, 1u);  // of the whole tensor
  EXPECT_EQ(d.decoder.scales, 5u);  // of each output
  ASSERT_EQ(d.blocks.size(), 1u);
  EXPECT_EQ(d.blocks[0].modes, 9u);
  EXPECT_EQ(d.blocks[0].a_bits, 4);
  EXPECT_TRUE(d.blocks[0].polar);
  EXPECT_EQ(d.blocks[0].shape_values, 0u);
  EXPECT_FALSE(d.in_floats());
}

TEST(DeploymentOfIntegers, CountsTheBitsOfAllCodes) {
  integer::IntegerNetwork n = network();
  const auto bits = [&](int low, int high) {
    n.input.quant_min = low;
    n.input.quant_max = high;
    return deployment(n).input.bits;
  };
  EXPECT_EQ(bits(-127, 127), 8);
  EXPECT_EQ(bits(0, 15), 4);
  EXPECT_EQ(bits(0, 16), 5);
  EXPECT_EQ(bits(-1, 1), 2);
  EXPECT_EQ(bits(-200, 55), 8);
}

TEST(DeploymentOfIntegers, FollowsTheSchemeWhereThereIsOne) {
  integer::IntegerNetwork n = network();
  ASSERT_TRUE(n.scheme);
  n.scheme->input = quant::ScaleKind::kPowerOfTwo;
  n.scheme->coding = quant::PoleCoding::kPolar;
  n.scheme->weight = {quant::Granularity::kTensor, quant::ScaleKind::kPowerOfTwo};
  Deployment d = deployment(n);
  EXPECT_TRUE(d.input.powers_of_two);
  EXPECT_TRUE(d.blocks[0].polar);
  EXPECT_EQ(d.blocks[0].linear.scales, 1u);
  EXPECT_TRUE(d.blocks[0].linear.powers_of_two);
  n.scheme->input = quant::ScaleKind::kFree;
  n.scheme->coding = quant::PoleCoding::kCartesian;
  n.scheme->weight = {};
  d = deployment(n);
  EXPECT_FALSE(d.input.powers_of_two);
  EXPECT_FALSE(d.blocks[0].polar);
  EXPECT_EQ(d.blocks[0].linear.scales, d.linear_outputs());
  EXPECT_FALSE(d.blocks[0].linear.powers_of_two);
}

TEST(DeploymentOfIntegers, InfersScalesAndCodingFromNumbers) {
  integer::IntegerNetwork n = network();
  n.scheme.reset();
  n.input.scale = 0.25;
  EXPECT_EQ(inferred_scheme(n).input, quant::ScaleKind::kPowerOfTwo);
  n.input.scale = 0.3;
  EXPECT_EQ(inferred_scheme(n).input, quant::ScaleKind::kFree);
  integer::IntegerBlock& b = n.blocks[0];
  EXPECT_EQ(inferred_scheme(n).coding, quant::PoleCoding::kLogPolar);
  // Cartesian parts of 4 bits are multiples of 2^11.
  for (auto* parts : {&b.ar, &b.ai}) {
    for (auto& part : *parts) part = static_cast<std::int16_t>(part / 2048 * 2048);
  }
  EXPECT_EQ(inferred_scheme(n).coding, quant::PoleCoding::kCartesian);
  b.ai.back() = static_cast<std::int16_t>(b.ai.back() + 1);
  EXPECT_EQ(inferred_scheme(n).coding, quant::PoleCoding::kLogPolar);
}

}  // namespace
}  // namespace crosstate::cost
