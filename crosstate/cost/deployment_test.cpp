#include "crosstate/cost/deployment.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/cost/memory.h"
#include "crosstate/cost/neurobench.h"
#include "crosstate/integer/testing.h"

namespace crosstate::cost {
namespace {

class Formats : public testing::TestWithParam<int> {};

model::Network network_of(int number) {
  quant::QuantOptions format = integer::fixtures::format(number, number % 2 == 1);
  integer::fixtures::round_state(format.state, number % 5 == 3   ? "residue 14"
                                               : number % 5 == 2 ? "residue 3"
                                               : number % 5 == 1 ? "by-pole"
                                                                 : "nearest");
  if (number % 7 == 2) format.a.bits = 15;  // all grid points are also Cartesian ones
  if (number % 7 == 4)
    format.activation.bits = format.gate.bits = 2;  // tables equal those of ramps
  return integer::fixtures::rounded_network(number, integer::fixtures::sequences(number), format);
}

// Sizes, gates, activations, codings and rounding modes of every kind.
TEST_P(Formats, OfAnIntegerFileAreThoseOfItsOrigin) {
  const model::Network network = network_of(GetParam());
  const integer::IntegerNetwork integers =
      integer::integer_network_from(integer::to_tensors(integer::to_integers(network)), "integers");
  const Deployment d = deployment(network);
  EXPECT_EQ(d, deployment(integers));
  EXPECT_FALSE(d.in_floats());
  EXPECT_EQ(to_json(count_memory(network)), to_json(count_memory(integers)));
  EXPECT_EQ(to_json(neurobench_metrics(network, 9)), to_json(neurobench_metrics(integers, 9)));
}

// Files of earlier versions have no scheme.
TEST_P(Formats, AreInferredFromNumbers) {
  const model::Network network = network_of(GetParam());
  integer::IntegerNetwork integers = integer::to_integers(network);
  const integer::QuantizationScheme& known = *integers.scheme;
  const integer::QuantizationScheme found = inferred_scheme(integers);
  for (const auto site : {&integer::QuantizationScheme::encoder, &integer::QuantizationScheme::c,
                          &integer::QuantizationScheme::d, &integer::QuantizationScheme::weight,
                          &integer::QuantizationScheme::decoder}) {
    // Power-of-two scales may be equal in all rows.
    if ((known.*site).scales == quant::ScaleKind::kFree ||
        (known.*site).granularity == quant::Granularity::kTensor) {
      EXPECT_EQ((found.*site).granularity, (known.*site).granularity);
    }
    EXPECT_EQ((found.*site).scales, (known.*site).scales);
  }
  if (network.quant_options().a.bits < 14) {
    EXPECT_EQ(found.coding == quant::PoleCoding::kCartesian,
              known.coding == quant::PoleCoding::kCartesian);
  }
  EXPECT_EQ(found.input, known.input);
  EXPECT_EQ(found.residual, known.residual);
  EXPECT_EQ(found.ssm_output, known.ssm_output);
  EXPECT_EQ(found.activation, known.activation);
  if (integers.gated) {
    EXPECT_EQ(found.linear, known.linear);
  }
  integers.scheme.reset();
  const Deployment from = deployment(network), to = deployment(integers);
  EXPECT_EQ(from.weights(), to.weights());
  EXPECT_EQ(from.biases(), to.biases());
  EXPECT_FALSE(to.in_floats());
  EXPECT_EQ(count_memory(from).bytes(MemoryKind::kState),
            count_memory(to).bytes(MemoryKind::kState));
  EXPECT_EQ(count_memory(from).bytes(MemoryKind::kBiases),
            count_memory(to).bytes(MemoryKind::kBiases));
}

INSTANTIATE_TEST_SUITE_P(Numbers, Formats, testing::Range(0, 42));

TEST(Deployment, CountsTheParametersOfANetwork) {
  model::ModelOptions options;
  options.channels = 5;
  options.states = 6;
  options.layers = 3;
  options.norm = model::Norm::kNone;
  const model::Network network(options, {3, 7}, 1);
  const Deployment d = deployment(network);
  // A block: 5 x 3 modes with complex A and C, D, 10 x 5 weights.
  EXPECT_EQ(d.weights(), 5u * 3 + 3 * (60 + 5 + 50) + 7 * 5);
  EXPECT_EQ(d.biases(), 5u + 3 * 10 + 7);
  EXPECT_TRUE(d.in_floats());
}

TEST(Deployment, KnowsASiteThatIsNotRounded) {
  const data::Dataset set = integer::fixtures::sequences(1);
  quant::QuantOptions format = integer::fixtures::format(1, true);
  format.decoder.bits = 0;
  EXPECT_TRUE(deployment(integer::fixtures::rounded_network(1, set, format)).in_floats());
}

}  // namespace
}  // namespace crosstate::cost
