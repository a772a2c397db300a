#include "crosstate/cost/operations.h"

#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/testing.h"
#include "crosstate/integer/convert.h"

namespace crosstate::cost {
namespace {

using fixtures::rounded;
using fixtures::shape;

const OperationSite& site(const OperationSummary& operations, const std::string& name) {
  for (const OperationSite& s : operations.sites) {
    if (s.name() == name) return s;
  }
  throw Error(name + " is missing");
}

TEST(Operations, OfAComplexGatedFloatNetworkByHand) {
  // 3 channels of 3 complex modes, 2 inputs, 5 classes.
  const model::Network network(shape(3, 6, true, true), {2, 5}, 1);
  const OperationSummary operations = count_operations(deployment(network), 7);
  EXPECT_EQ(site(operations, "encoder").macs, 6u);
  EXPECT_EQ(site(operations, "layers.0.A").macs, 4u * 9);
  EXPECT_EQ(site(operations, "layers.0.A").additions, 9u);
  EXPECT_EQ(site(operations, "layers.0.C").macs, 2u * 9);
  EXPECT_EQ(site(operations, "layers.0.D").macs, 3u);
  EXPECT_EQ(site(operations, "layers.0.linear").macs, 18u);
  EXPECT_EQ(site(operations, "layers.0.gating").macs, 3u);
  EXPECT_EQ(operations.macs_per_step(), 6u + 36 + 18 + 3 + 18 + 3);
  EXPECT_EQ(operations.at_end(&OperationSite::macs), 15u);
  EXPECT_EQ(operations.per_inference(&OperationSite::macs, 7), 7u * 84 + 15);
  EXPECT_EQ(operations.bit_operations(7), (7u * 84 + 15) * 32 * 32);
  // GELU and the sigmoid of 3 channels; nothing is scaled back to codes.
  EXPECT_EQ(operations.per_step(&OperationSite::functions), 6u);
  EXPECT_EQ(operations.per_step(&OperationSite::requantisations), 0u);
  EXPECT_EQ(operations.per_step(&OperationSite::look_ups), 0u);
}

TEST(Operations, OfARealUngatedFloatNetworkByHand) {
  model::ModelOptions options = shape(3, 5, false, false);
  options.activation = kernels::Activation::kRelu;
  options.pooling = model::Pooling::kLast;
  const model::Network network(options, {1, 2}, 1);
  const OperationSummary operations = count_operations(deployment(network), 4);
  EXPECT_EQ(site(operations, "layers.0.A").macs, 15u);
  EXPECT_EQ(site(operations, "layers.0.C").macs, 15u);
  EXPECT_EQ(site(operations, "layers.0.linear").macs, 9u);
  EXPECT_EQ(operations.macs_per_step(), 3u + 15 + 15 + 3 + 9);
  EXPECT_EQ(operations.per_step(&OperationSite::functions), 0u);
  EXPECT_EQ(site(operations, "pooling").additions, 0u);
}

// The decoder runs in every step, on codes rather than sums.
TEST(Operations, OfANetworkThatIsReadAtEveryStep) {
  model::ModelOptions options = shape(3, 6, true, true);
  const auto of = [&](task::Scope scope) {
    options.readout = scope;
    return rounded(options, {2, 5}, quant::quant_preset("w4a8s6"));
  };
  const model::Network whole = of(task::Scope::kSequence), steps = of(task::Scope::kStep);
  for (const Deployment& d : {deployment(steps), deployment(integer::to_integers(steps))}) {
    const OperationSummary operations = count_operations(d, 10);
    const std::uint64_t step =
        6u * 4 * 8 + 36 * 16 * 6 + 18 * 4 * 6 + 3 * 4 * 8 + 18 * 4 * 8 + 3 * 8 * 8 + 15 * 4 * 8;
    EXPECT_EQ(operations.bit_operations(10), 10 * step);
    EXPECT_EQ(operations.per_step(&OperationSite::requantisations), 26u);
    EXPECT_EQ(operations.at_end(&OperationSite::macs), 0u);
    EXPECT_EQ(site(operations, "pooling").additions, 0u);
    // No sums over time.
    EXPECT_EQ(peak_ram(d) + 4 * 3, peak_ram(deployment(whole)));
  }
}

TEST(Operations, OfARoundedNetworkByHand) {
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w4a8s6"));
  for (const Deployment& d : {deployment(network), deployment(integer::to_integers(network))}) {
    const OperationSummary operations = count_operations(d, 10);
    // Decoded poles multiply with 16 bits; a sum of 10 codes of 8 bits has 12 bits.
    const std::uint64_t step =
        6u * 4 * 8 + 36 * 16 * 6 + 18 * 4 * 6 + 3 * 4 * 8 + 18 * 4 * 8 + 3 * 8 * 8;
    EXPECT_EQ(operations.bit_operations(10), 10 * step + 15 * 4 * 12);
    // Encoder 3, C and D 6, linear 6, residual sum 6; scores 5 at the end.
    EXPECT_EQ(operations.per_step(&OperationSite::requantisations), 21u);
    EXPECT_EQ(operations.at_end(&OperationSite::requantisations), 5u);
    EXPECT_EQ(operations.per_inference(&OperationSite::bit_operations_with_scaling, 10),
              operations.bit_operations(10) + 215 * 24 * 32);
    EXPECT_EQ(operations.per_step(&OperationSite::look_ups), 6u);
    EXPECT_EQ(operations.per_step(&OperationSite::functions), 0u);
    // States of 18 parts with 6 bits; codes 2 + 3 + 3 bytes; 3 sums and 6 accumulators of 4 bytes.
    EXPECT_EQ(peak_ram(d), (18u * 6 + 7) / 8 + 4 * 3 + 8 + 4 * 6);
  }
}

TEST(Operations, CountNormsThatWereNotFolded) {
  model::ModelOptions options = shape(3, 4, true, false);
  options.norm = model::Norm::kLayer;
  const model::Network layer(options, {1, 2}, 1);
  EXPECT_EQ(site(count_operations(deployment(layer), 1), "layers.0.norm").macs, 9u);
  options.norm = model::Norm::kBatch;
  const model::Network batch(options, {1, 2}, 1);
  EXPECT_EQ(site(count_operations(deployment(batch), 1), "layers.0.norm").macs, 3u);
}

TEST(Operations, MultipliesIncrementsWithTheirBitsAndAddsTheState) {
  quant::QuantOptions quant = quant::quant_preset("w8a8s8");
  quant.a = {4, quant::PoleCoding::kIncrement};
  const Deployment d = deployment(rounded(shape(3, 6, true, true), {1, 2}, quant));
  const OperationSite a = site(count_operations(d, 1), "layers.0.A");
  EXPECT_EQ(a.weight_bits, 4);
  EXPECT_EQ(a.additions, 9u + 18);
}

TEST(Operations, AddsResidues) {
  quant::QuantOptions quant = quant::quant_preset("w8a8s8");
  quant.state.residue_bits = 5;
  const Deployment d = deployment(rounded(shape(3, 6, true, true), {1, 2}, quant));
  const OperationSummary operations = count_operations(d, 1);
  EXPECT_EQ(site(operations, "layers.0.A").additions, 9u);
  EXPECT_EQ(site(operations, "layers.0.A").input_bits, 8);  // multiplications are not wider
  const OperationSite residue = site(operations, "layers.0.residue");
  EXPECT_EQ(residue.macs, 0u);
  EXPECT_EQ(residue.additions, 18u);
  EXPECT_EQ(residue.roundings, 18u);
  EXPECT_EQ(residue.addition_bits, 8 + 5);
  EXPECT_EQ(residue.moved_bits, 2u * 18 * 5);
  quant.state.residue_bits = 0;
  const Deployment nearest = deployment(rounded(shape(3, 6, true, true), {1, 2}, quant));
  EXPECT_EQ(count_operations(nearest, 9).bit_operations(9),
            count_operations(d, 9).bit_operations(9));
  EXPECT_EQ(peak_ram(d) - peak_ram(nearest), (18u * 5 + 7) / 8);
}

// The residues of slow modes have more bits than those of fast ones, and cost more.
TEST(Operations, CountsTheResidueOfEveryMode) {
  Deployment d =
      deployment(rounded(shape(3, 6, true, true), {1, 2}, quant::quant_preset("w8a8s8")));
  d.state_rounding = kernels::RoundingMode::kNoiseShaped;
  d.blocks[0].residue_bits = {0, 0, 0, 2, 2, 2, 2, 7, 7};
  const OperationSite residue = site(count_operations(d, 1), "layers.0.residue");
  EXPECT_EQ(residue.additions, 12u);
  EXPECT_EQ(residue.addition_bits, 8 + 7);
  EXPECT_EQ(residue.moved_bits, 2u * 2 * (4 * 2 + 2 * 7));
  d.blocks[0].residue_bits.assign(9, 0);
  for (const OperationSite& s : count_operations(d, 1).sites)
    EXPECT_NE(s.name(), "layers.0.residue");
}

TEST(Operations, FewerBitsNeverTakeMore) {
  const char* const falling[] = {"float",  "w8a8s8", "w6a8s8", "w4a8s8", "w4a6s8",
                                 "w4a6s6", "w2a6s6", "w2a4s4", "w1a4s4"};
  std::uint64_t bits = UINT64_MAX;
  std::size_t memory = SIZE_MAX, ram = SIZE_MAX;
  for (const char* name : falling) {
    const std::string preset = name;
    const Deployment d =
        preset == "float"
            ? deployment(model::Network(shape(5, 6, true, true), {2, 3}, 1))
            : deployment(rounded(shape(5, 6, true, true), {2, 3}, quant::quant_preset(name)));
    const std::uint64_t now = count_operations(d, 9).bit_operations(9);
    EXPECT_LT(now, bits) << name;
    const std::size_t weights = count_memory(d).bits(MemoryKind::kWeights);
    EXPECT_LE(weights, memory) << name;
    EXPECT_LE(peak_ram(d), ram) << name;
    bits = now;
    memory = weights;
    ram = peak_ram(d);
  }
}

}  // namespace
}  // namespace crosstate::cost
