// Streams against batches, on networks of random integers. engine_test.cpp compares them with the
// reference on networks converted from quantized ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "crosstate/base/error.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

class StreamOfIntegers : public testing::Test {
 protected:
  static void expect_equal(const IntegerResult& got, const IntegerResult& wanted) {
    EXPECT_EQ(got.scores, wanted.scores);
    EXPECT_EQ(got.count, wanted.count);
    EXPECT_EQ(got.shift, wanted.shift);
  }
  static std::span<const float> inputs(const data::Dataset& set, std::size_t sequence,
                                       std::size_t step) {
    return set.sequence(sequence).subspan(step * set.channels, set.channels);
  }
  static void push(IntegerStream& stream, const data::Dataset& set, std::size_t sequence,
                   std::size_t steps, std::size_t first = 0) {
    for (std::size_t t = first; t < steps; ++t) stream.step(inputs(set, sequence, t));
  }
  // The results of a batch of all sequences.
  static std::vector<IntegerResult> batched(const IntegerNetwork& network,
                                            const data::Dataset& set) {
    ThreadPool pool(1);
    return IntegerEngine(network).run(model::reference::batch_of(set), pool);
  }
};

TEST_F(StreamOfIntegers, EqualsTheBatchForEveryLengthOfASequence) {
  std::size_t vectorised = 0;
  for (std::uint32_t number = 0; number < 40; ++number) {
    SCOPED_TRACE(number);
    fixtures::RandomNetwork random(number);
    IntegerNetwork network = random.make();
    if (number % 3 == 0) {  // few of these networks round with random draws
      network.state_rounding = kernels::RoundingMode::kStochastic;
      for (IntegerBlock& block : network.blocks) block.residue_bits.clear();
    }
    // Every prefix of one sequence, as sequences of a set.
    data::Dataset set = random.sequences(network, 35, 35);
    for (std::uint32_t i = 0; i < 35; ++i) {
      set.lengths[i] = i + 1;
      std::copy_n(set.values.begin(), 35 * set.channels,
                  set.values.begin() + static_cast<std::ptrdiff_t>(i * 35 * set.channels));
    }
    const std::vector<IntegerResult> wanted = batched(network, set);
    IntegerStream stream(network);
    vectorised += stream.vectorised() ? 1 : 0;
    for (int again = 0; again < 2; ++again) {
      for (std::size_t t = 0; t < 35; ++t) {
        stream.step(inputs(set, 0, t));
        expect_equal(stream.result(), wanted[t]);
      }
      expect_equal(stream.result(), wanted.back());  // reading does not change it
      stream.reset();
    }
  }
  EXPECT_GT(vectorised, 20u);
}

TEST_F(StreamOfIntegers, EqualsTheBatchForInputsBeyondEveryCode) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float extremes[] = {kInfinity,
                            -kInfinity,
                            std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::lowest(),
                            std::numeric_limits<float>::denorm_min(),
                            -0.0f,
                            1e9f};
  for (std::uint32_t number = 0; number < 20; ++number) {
    SCOPED_TRACE(number);
    fixtures::RandomNetwork random(number);
    const IntegerNetwork network = random.make();
    data::Dataset set = random.sequences(network, 9, 17);
    Random draw(number, Stream::kTest);
    for (float& v : set.values) {
      if (draw.below(2) == 0) v = extremes[draw.below(7)];
    }
    const std::vector<IntegerResult> wanted = batched(network, set);
    IntegerStream stream(network), by_code(network);
    for (std::size_t i = 0; i < set.count; ++i) {
      stream.reset();
      by_code.reset();
      push(stream, set, i, set.length_of(i));
      for (std::size_t t = 0; t < set.length_of(i); ++t) {
        std::vector<std::int32_t> codes;
        for (const float v : inputs(set, i, t)) codes.push_back(input_code(network.input, v));
        by_code.step_codes(codes);
      }
      expect_equal(stream.result(), wanted[i]);
      expect_equal(by_code.result(), wanted[i]);
    }
  }
}

TEST_F(StreamOfIntegers, TakesWhatIsNoNumberForTheLowestCode) {
  for (std::uint32_t number = 0; number < 20; ++number) {
    const IntegerNetwork network = fixtures::RandomNetwork(number).make();
    const std::vector<float> nothing(network.inputs, std::numeric_limits<float>::quiet_NaN());
    const std::vector<std::int32_t> lowest(network.inputs, network.input.quant_min);
    IntegerStream stream(network), by_code(network);
    for (int t = 0; t < 5; ++t) {
      stream.step(nothing);
      by_code.step_codes(lowest);
      expect_equal(stream.result(), by_code.result());
    }
  }
}

TEST_F(StreamOfIntegers, RefusesCodesThatItsInputDoesNotHave) {
  for (std::uint32_t number = 0; number < 12; ++number) {
    const IntegerNetwork network = fixtures::RandomNetwork(number).make();
    const CodeFormat& format = network.input;
    IntegerStream stream(network), other(network);
    std::vector<std::int32_t> codes(network.inputs, format.quant_max);
    stream.step_codes(codes);
    other.step_codes(codes);
    for (const std::int32_t code : {format.quant_max + 1, format.quant_min - 1, 2000000000}) {
      codes.back() = code;
      EXPECT_THAT([&] { stream.step_codes(codes); },
                  testing::ThrowsMessage<Error>("stream: code " + std::to_string(code) +
                                                " at input " + std::to_string(network.inputs - 1) +
                                                ", expected " + std::to_string(format.quant_min) +
                                                " to " + std::to_string(format.quant_max)));
    }
    // What is refused is no step.
    codes.back() = format.quant_min;
    stream.step_codes(codes);
    other.step_codes(codes);
    expect_equal(stream.result(), other.result());
  }
}

TEST_F(StreamOfIntegers, OwnsItsNetworkAndItsState) {
  for (std::uint32_t number = 0; number < 12; ++number) {
    SCOPED_TRACE(number);
    fixtures::RandomNetwork random(number);
    auto network = std::make_unique<IntegerNetwork>(random.make());
    const data::Dataset set = random.sequences(*network, 3, 21);
    const std::vector<IntegerResult> wanted = batched(*network, set);
    // Two streams take turns, and move in the middle of their sequences.
    IntegerStream one(*network), two(*network);
    network.reset();
    const std::size_t half = set.length_of(0) / 2;
    push(one, set, 0, half);
    push(two, set, 1, set.length_of(1));
    IntegerStream moved(std::move(one));
    push(moved, set, 0, set.length_of(0), half);
    expect_equal(moved.result(), wanted[0]);
    expect_equal(two.result(), wanted[1]);
    // A sequence that was broken off leaves no trace.
    push(two, set, 0, half);
    two.reset();
    push(two, set, 2, set.length_of(2));
    expect_equal(two.result(), wanted[2]);
  }
}

TEST_F(StreamOfIntegers, CountsTheBytesOfAStep) {
  IntegerNetwork network = fixtures::RandomNetwork(3).make();
  const std::size_t one_block = IntegerStream(network).bytes();
  network.blocks.push_back(network.blocks.back());
  const std::size_t two_blocks = IntegerStream(network).bytes();
  network.blocks.push_back(network.blocks.back());
  EXPECT_GT(two_blocks, one_block);
  EXPECT_EQ(IntegerStream(network).bytes() - two_blocks, two_blocks - one_block);
  // A step reads every weight at least once, and reads and writes both parts of every state.
  const IntegerBlock& block = network.blocks.back();
  const std::size_t parts = network.complex ? 2 : 1;
  EXPECT_GE(two_blocks - one_block,
            2 * (block.linear_map.weight.size() + 2 * parts * block.shape.modes()) +
                block.activation_table.size());
  const std::size_t before = IntegerStream(network).bytes();
  network.decoder.rows += 3;
  network.outputs += 3;
  network.decoder.weight.resize(network.decoder.rows * network.channels);
  network.decoder.bias.resize(network.decoder.rows);
  network.scores.first.resize(network.outputs);
  network.scores.shift.resize(network.outputs, network.scores.shift[0]);
  EXPECT_EQ(IntegerStream(network).bytes() - before, 3 * (2 * network.channels + 4));
}

}  // namespace
}  // namespace crosstate::integer
