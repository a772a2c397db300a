#include "crosstate/cost/memory.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/model/parts.h"

namespace crosstate::cost {
namespace {

// 4 channels, 2 complex modes, 1 block, gated; all counts can be verified by hand.
model::ModelOptions small() {
  model::ModelOptions options;
  options.channels = 4;
  options.states = 4;
  options.layers = 1;
  options.norm = model::Norm::kNone;
  return options;
}

data::Batch batch_of_ones() {
  data::Dataset set;
  set.name = "ones";
  set.count = 16;
  set.length = 8;
  set.values.assign(16 * 8, 1.0f);
  set.targets.assign(16, 0);
  set.readout.names = {"0", "1", "2"};
  std::vector<std::uint32_t> order(16);
  for (std::uint32_t i = 0; i < 16; ++i) order[i] = i;
  data::Batch batch;
  data::fill_batch(set, order, 8, batch);
  return batch;
}

TEST(Memory, CountsAFloatNetworkByHand) {
  const model::Network network(small(), {1, 3}, 1);
  const MemorySummary memory = count_memory(network);
  // Encoder 4, A 16, C 16, D 4, linear 32, decoder 12; biases 4 + 8 + 3; states 16, pooling 4.
  EXPECT_EQ(memory.bytes(MemoryKind::kWeights), 4u * (4 + 16 + 16 + 4 + 32 + 12));
  EXPECT_EQ(memory.bytes(MemoryKind::kBiases), 4u * 15);
  EXPECT_EQ(memory.bytes(MemoryKind::kState), 4u * 20);
  EXPECT_EQ(memory.bytes(MemoryKind::kScales), 0u);
  EXPECT_EQ(memory.bytes(MemoryKind::kTables), 0u);
  EXPECT_EQ(memory.total(), 4u * (84 + 15 + 20));
}

// The last values of the stream instead of sums, in its format; outputs of every step need none.
TEST(Memory, CountsWhatPoolingKeeps) {
  model::ModelOptions mean = small(), last = small(), steps = small();
  last.pooling = model::Pooling::kLast;
  steps.readout = task::Scope::kStep;
  ThreadPool pool(1);
  const std::vector<data::Batch> batches = {batch_of_ones()};
  const auto state_bytes = [&](const model::ModelOptions& options, bool rounded) {
    model::Network network(options, {1, 3}, 1);
    quant::QuantOptions quant;
    quant.residual.bits = 6;
    if (rounded) network.quantize(quant, batches, pool);
    return count_memory(network).bytes(MemoryKind::kState);
  };
  EXPECT_EQ(state_bytes(last, false), state_bytes(mean, false));
  EXPECT_EQ(state_bytes(mean, true) - state_bytes(steps, true), 4u * 4);
  EXPECT_EQ(state_bytes(last, true) - state_bytes(steps, true), 3u);  // 4 channels of 6 bits
}

TEST(Memory, FoldsBatchNormsFirst) {
  model::ModelOptions options = small();
  const std::size_t none = count_memory(model::Network(options, {1, 3}, 1)).total();
  options.norm = model::Norm::kBatch;
  EXPECT_EQ(count_memory(model::Network(options, {1, 3}, 1)).total(), none);
  options.norm = model::Norm::kLayer;  // is not folded: a gain and a shift for each of 4 channels
  EXPECT_EQ(count_memory(model::Network(options, {1, 3}, 1)).total(), none + 4u * 8);
}

TEST(Memory, DecodesPolesOfFewBitsThroughATablePerChannel) {
  model::ModelOptions options = small();
  options.states = 64;  // 4 x 32 modes: 256 numbers
  model::Network network(options, {1, 3}, 1);
  ThreadPool pool(1);
  quant::QuantOptions quant;
  quant.a.bits = 2;
  const std::vector<data::Batch> batches = {batch_of_ones()};
  network.quantize(quant, batches, pool);
  const MemorySummary memory = count_memory(network);
  // Two tables of 256 bytes; poles of 2 bits: 3 decays and 3 phases per channel, each with two
  // 16-bit parts. Including the codes this is smaller than 256 numbers of 16 bits.
  EXPECT_EQ(memory.bytes(MemoryKind::kTables), 512u + 4 * 9 * 2 * 2);
  EXPECT_EQ(memory.bytes(MemoryKind::kWeights), 4u + 256 / 4 + 256 + 4 + 32 + 12);
  // Weight scales: encoder 1, C 4, D 1, linear 8, decoder 3; activations 5; state steps 128.
  EXPECT_EQ(memory.bytes(MemoryKind::kScales), 5u * 17 + 5 + 128);
}

TEST(Memory, CountsIncrementsWithTheirShifts) {
  const auto memory_of = [](quant::PoleCoding coding) {
    model::Network network(small(), {1, 3}, 1);
    ThreadPool pool(1);
    quant::QuantOptions quant;
    quant.a = {4, coding};
    const std::vector<data::Batch> batches = {batch_of_ones()};
    network.quantize(quant, batches, pool);
    return count_memory(network);
  };
  const MemorySummary increments = memory_of(quant::PoleCoding::kIncrement);
  const MemorySummary cartesian = memory_of(quant::PoleCoding::kCartesian);
  EXPECT_EQ(increments.bytes(MemoryKind::kWeights), cartesian.bytes(MemoryKind::kWeights));
  // 4 bits for each of 8 modes.
  EXPECT_EQ(increments.bytes(MemoryKind::kScales), cartesian.bytes(MemoryKind::kScales) + 4);
}

TEST(Memory, CountsResidues) {
  const auto memory_of = [](int residue_bits, int a_bits) {
    model::Network network(small(), {1, 3}, 1);
    ThreadPool pool(1);
    quant::QuantOptions quant;
    quant.state.residue_bits = residue_bits;
    quant.a.bits = a_bits;
    const std::vector<data::Batch> batches = {batch_of_ones()};
    network.quantize(quant, batches, pool);
    return count_memory(network);
  };
  const MemorySummary nearest = memory_of(0, 8);
  EXPECT_EQ(nearest.bytes(MemoryKind::kState), 16u + 4 * 4);
  for (const int bits : {1, 4, 14}) {
    const MemorySummary shaped = memory_of(bits, 8);
    EXPECT_EQ(shaped.bytes(MemoryKind::kState), 16u + 16 * static_cast<unsigned>(bits) / 8 + 4 * 4);
    EXPECT_EQ(shaped.bytes(MemoryKind::kScales), nearest.bytes(MemoryKind::kScales));
  }
  EXPECT_EQ(memory_of(4, 0).bytes(MemoryKind::kState), 16u + 8 + 4 * 4);
}

TEST(Memory, CountsTheResidueOfEveryMode) {
  model::Network network(small(), {1, 3}, 1);
  ThreadPool pool(1);
  const std::vector<data::Batch> batches = {batch_of_ones()};
  network.quantize({}, batches, pool);
  Deployment d = deployment(network);
  const MemorySummary nearest = count_memory(d);
  d.state_rounding = kernels::RoundingMode::kNoiseShaped;
  d.blocks[0].residue_bits = {0, 0, 0, 3, 3, 3, 3, 9};
  const MemorySummary shaped = count_memory(d);
  // Two parts of four modes with 3 bits and of one with 9; 4 bits for each of the 8 modes store
  // this number.
  EXPECT_EQ(shaped.bytes(MemoryKind::kState), nearest.bytes(MemoryKind::kState) + 3 + 3);
  EXPECT_EQ(shaped.bits(MemoryKind::kState), nearest.bits(MemoryKind::kState) + 2 * (4 * 3 + 9));
  EXPECT_EQ(shaped.bytes(MemoryKind::kScales), nearest.bytes(MemoryKind::kScales) + 4);
}

TEST(Memory, CountsAPrunedNetworkByHand) {
  const model::Network network(small(), {1, 3}, 1);
  model::NetworkParts parts = model::NetworkParts::of(network);
  parts.stream = {0, 1, 3};
  parts.blocks[0].channels = {0, 2, 3};  // 2 is not in the residual stream
  parts.blocks[0].modes = {1, 4, 6, 7};  // one of channel 0, two of channel 3
  const MemorySummary memory = count_memory(network.part(parts));
  // Encoder 3, A 6, C 6, D 2, linear 6 x 2, decoder 9; biases 3 + 6 + 3; states 6, pooling 3;
  // indices of two channels, and number of modes of each.
  EXPECT_EQ(memory.bytes(MemoryKind::kWeights), 4u * (3 + 6 + 6 + 2 + 12 + 9));
  EXPECT_EQ(memory.bytes(MemoryKind::kBiases), 4u * 12);
  EXPECT_EQ(memory.bytes(MemoryKind::kState), 4u * 9);
  EXPECT_EQ(memory.bytes(MemoryKind::kTables), 2u * 2 * 2);
}

TEST(Memory, CountsAQuantizedNetworkByHand) {
  model::Network network(small(), {1, 3}, 1);
  ThreadPool pool(1);
  quant::QuantOptions quant;
  quant.encoder.bits = quant.weight.bits = quant.decoder.bits = 4;
  const std::vector<data::Batch> batches = {batch_of_ones()};
  network.quantize(quant, batches, pool);
  const MemorySummary memory = count_memory(network);
  // The 16 numbers of A have 16 bits each.
  EXPECT_EQ(memory.bytes(MemoryKind::kWeights), (4u + 32 + 12) / 2 + 2 * 16 + 16 + 4);
  EXPECT_EQ(memory.bytes(MemoryKind::kBiases), 4u * 15);
  EXPECT_EQ(memory.bytes(MemoryKind::kState), 16u + 4 * 4);
  // Weight scales: encoder 1, C 4, D 1, linear 8, decoder 3; activations 5; state steps 8.
  EXPECT_EQ(memory.bytes(MemoryKind::kScales), 5u * 17 + 5 + 8);
  EXPECT_EQ(memory.bytes(MemoryKind::kTables), 512u);
  EXPECT_EQ(to_json(memory)["total"], memory.total());
}

}  // namespace
}  // namespace crosstate::cost
