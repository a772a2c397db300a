// Fast executors against the reference, on random networks of every format.
#include "crosstate/integer/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/testing.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/reference/testing.h"

namespace crosstate::integer {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_same(const IntegerResult& got, const IntegerResult& wanted) {
  EXPECT_EQ(got.scores, wanted.scores);
  EXPECT_EQ(got.count, wanted.count);
  EXPECT_EQ(got.shift, wanted.shift);
}

// In batches and step by step.
void expect_reference(const IntegerEngine& engine, const IntegerNetwork& network,
                      const data::Dataset& set) {
  ThreadPool pool(2);
  const std::vector<IntegerResult> results = engine.run(model::reference::batch_of(set), pool);
  ReferenceExecutor executor(network);
  IntegerStream stream(network);
  for (std::size_t i = 0; i < set.count; ++i) {
    const IntegerResult wanted = executor.run(set.sequence(i), set.length_of(i));
    expect_same(results[i], wanted);
    stream.reset();
    for (std::size_t t = 0; t < set.length_of(i); ++t) {
      stream.step(set.sequence(i).subspan(t * set.channels, set.channels));
    }
    expect_same(stream.result(), wanted);
  }
}

TEST(IntegerEngine, EqualsTheReferenceOnEveryTarget) {
  kernels::reference::on_every_target([] {
    std::size_t vectorised = 0;
    for (int number = 0; number < 40; ++number) {
      SCOPED_TRACE(number);
      const data::Dataset set = fixtures::sequences(number);
      const IntegerNetwork network = fixtures::network(number, set);
      const IntegerEngine engine(network);
      vectorised += engine.vectorised() ? 1 : 0;
      ThreadPool pool(1 + number % 3);
      const std::vector<IntegerResult> results = engine.run(model::reference::batch_of(set), pool);
      ASSERT_EQ(results.size(), set.count);
      ReferenceExecutor executor(network);
      for (std::size_t i = 0; i < set.count; ++i) {
        expect_same(results[i], executor.run(set.sequence(i), set.length_of(i)));
      }
    }
    EXPECT_GE(vectorised, 35u);
  });
}

TEST(IntegerStream, EqualsTheReferenceAfterEveryStep) {
  kernels::reference::on_every_target([] {
    for (int number = 0; number < 40; ++number) {
      SCOPED_TRACE(number);
      const data::Dataset set = fixtures::sequences(number);
      const IntegerNetwork network = fixtures::network(number, set);
      IntegerStream stream(network);
      EXPECT_GT(stream.bytes(), 0u);
      ReferenceExecutor executor(network);
      for (std::size_t i = 0; i < 5; ++i) {
        stream.reset();
        executor.reset();
        for (std::size_t t = 0; t < set.length_of(i); ++t) {
          const auto x = set.sequence(i).subspan(t * set.channels, set.channels);
          std::vector<std::int32_t> codes;
          for (const float v : x) codes.push_back(input_code(network.input, v));
          executor.step(codes);
          if (t % 2 == 0) {
            stream.step(x);
          } else {
            stream.step_codes(codes);
          }
          expect_same(stream.result(), executor.result());
        }
      }
    }
  });
}

// What is no number becomes the lowest code, and what is beyond every code the last one.
TEST(IntegerEngine, EqualsTheReferenceForInputsBeyondEveryCode) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float extremes[] = {std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::quiet_NaN(),
                            kInfinity,
                            -kInfinity,
                            std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::lowest(),
                            -0.0f};
  kernels::reference::on_every_target([&] {
    std::size_t vectorised = 0;
    for (std::uint32_t number = 0; number < 20; ++number) {
      SCOPED_TRACE(number);
      fixtures::RandomNetwork random(number);
      const IntegerNetwork network = random.make();
      const IntegerEngine engine(network);
      vectorised += engine.vectorised() ? 1 : 0;
      data::Dataset set = random.sequences(network, 21, 9);
      Random draw(number, Stream::kTest);
      for (float& v : set.values) {
        if (draw.below(2) == 0) v = extremes[draw.below(7)];
      }
      expect_reference(engine, network, set);
      std::ranges::fill(set.values, extremes[0]);
      expect_reference(engine, network, set);
    }
    EXPECT_GE(vectorised, 10u);
  });
}

// Inputs so large that a float cannot represent the sum: states saturate, as in the reference.
TEST(IntegerEngine, EqualsTheReferenceWhereInputsSaturateStates) {
  kernels::reference::on_every_target([] {
    Random random(1, Stream::kTest);
    for (int number = 0; number < 24; ++number) {
      SCOPED_TRACE(number);
      const data::Dataset set = fixtures::sequences(number);
      quant::QuantOptions options = quant::quant_preset("w8a8s8");
      fixtures::round_state(options.state, number % 3 == 0   ? "nearest"
                                           : number % 3 == 1 ? "stochastic"
                                                             : "residue 9");
      IntegerNetwork network = fixtures::network(number, set, options);
      for (IntegerBlock& b : network.blocks) {
        for (auto& shift : b.input_shift)
          shift = std::min(24, shift + static_cast<int>(random.below(9)));
      }
      const IntegerEngine engine(network);
      EXPECT_TRUE(engine.vectorised()) << certify(network).obstacle;
      expect_reference(engine, network, set);
    }
  });
}

// Inputs of more than 16 bits, in a file of other origin.
TEST(IntegerEngine, EqualsTheReferenceWhereInputsHaveMoreThanSixteenBits) {
  kernels::reference::on_every_target([] {
    for (int number = 0; number < 12; ++number) {
      SCOPED_TRACE(number);
      const data::Dataset set = fixtures::sequences(number);
      IntegerNetwork network = fixtures::network(number, set, quant::quant_preset("w2a8s4"));
      network.residual.quant_min = -65535;
      network.residual.quant_max = 65535;
      for (std::int32_t& first : network.encoder_codes.first) first *= 512;
      for (IntegerBlock& b : network.blocks) {
        for (std::int32_t& shift : b.input_shift) shift = std::max(0, shift - 9);
      }
      const IntegerEngine engine(network);
      expect_reference(engine, network, set);
    }
  });
}

TEST(IntegerEngine, FallsBackOnTheReferenceForWideFormats) {
  const data::Dataset set = fixtures::sequences(1);
  quant::QuantOptions wide = quant::uniform_bits(16);
  const IntegerNetwork network = fixtures::network(1, set, wide);
  EXPECT_FALSE(certify(network).exact_in_float);
  EXPECT_TRUE(certify(network).fits_int64);
  const IntegerEngine engine(network);
  EXPECT_FALSE(engine.vectorised());
  expect_reference(engine, network, set);
}

// With lanes, and by the reference.
TEST(IntegerStream, EndsWhereScoresCouldOverflow) {
  const data::Dataset set = fixtures::sequences(1);
  for (const quant::QuantOptions& format : {fixtures::format(1, true), quant::uniform_bits(16)}) {
    IntegerNetwork network = fixtures::network(1, set, format);
    ASSERT_FALSE(network.pool_last);
    network.decoder.bias[0] = std::int64_t{1} << 40;
    network.scores.first[0] = 1 << 20;
    const std::int64_t longest = certify(network).longest_sequence;
    ASSERT_EQ(longest, 7);  // 2^60 each, plus a small amount
    const std::vector<float> step(network.inputs, 0.5f);
    const std::vector<std::int32_t> codes(network.inputs, 1);
    IntegerStream stream(network);
    for (int sequence = 0; sequence < 2; ++sequence) {
      for (std::int64_t t = 0; t < longest; ++t) stream.step(step);
      const IntegerResult last = stream.result();
      EXPECT_EQ(last.count, longest);
      EXPECT_THAT([&] { stream.step(step); }, ThrowsMessage<Error>(HasSubstr("more than 7 steps")));
      EXPECT_THAT([&] { stream.step_codes(codes); },
                  ThrowsMessage<Error>(HasSubstr("more than 7 steps")));
      expect_same(stream.result(), last);
      stream.reset();
    }
    network.pool_last = true;
    IntegerStream endless(network);
    for (std::int64_t t = 0; t < 2 * longest; ++t) endless.step(step);
  }
}

// Codes of 16 bits whose sum over a block of time a float cannot represent.
TEST(IntegerEngine, PoolsWideCodesExactly) {
  constexpr std::size_t kSteps = 1024;
  const data::Dataset set = model::reference::random_set(7, 20, kSteps, fixtures::kTask, true);
  quant::QuantOptions format = quant::quant_preset("w2a8s4");
  format.residual.bits = 16;
  IntegerNetwork network = fixtures::network(1, fixtures::sequences(1), format);
  ASSERT_FALSE(network.pool_last);
  // The stream stops at the largest length, an odd number.
  network.encoder.bias.assign(network.channels, 4'000'000);
  network.encoder_codes.first.assign(network.channels, 1 << 20);
  network.encoder_codes.shift.assign(network.channels, 20);
  for (IntegerBlock& b : network.blocks) {
    b.sum.first.assign(network.channels, 0);
    b.input_shift.assign(b.input_shift.size(), 0);
  }
  const IntegerEngine engine(network);
  ASSERT_TRUE(engine.vectorised()) << certify(network).obstacle;
  ThreadPool pool(2);
  const std::vector<IntegerResult> results =
      engine.run(model::reference::batch_of(set, kSteps), pool);
  ReferenceExecutor executor(network);
  for (std::size_t i = 0; i < set.count; ++i) {
    expect_same(results[i], executor.run(set.sequence(i), set.length_of(i)));
  }
}

// Long sequences of wide codes, in networks that shift sums and scores before their products.
TEST(IntegerEngine, RunsWideFormatsForThousandsOfSteps) {
  std::size_t early_rows = 0, early_scores = 0;
  for (int number = 0; number < 12; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset few = fixtures::sequences(number);
    quant::QuantOptions format = quant::uniform_bits(number % 2 == 0 ? 16 : 12);
    fixtures::round_state(format.state, number % 3 == 0   ? "nearest"
                                        : number % 3 == 1 ? "stochastic"
                                                          : "residue 14");
    IntegerNetwork network = fixtures::network(number, few, format);
    EXPECT_GE(longest_sequence(network), 1 << 20);
    // Rows with more weight, as of many channels.
    for (IntegerBlock& b : network.blocks) {
      for (std::size_t i = 0; i < b.linear_map.rows; i += 2) {
        b.linear_map.bias[i] = (i % 4 == 0 ? -1 : 1) * (std::int64_t{1} << 42);
        Requantizer& r = network.gated ? b.linear_codes : b.sum;
        r.early.resize(b.linear_map.rows, 0);
        r.early[i] = 4 + static_cast<int>(i % 3);
        ++early_rows;
      }
    }
    network.decoder.bias[1] = std::int64_t{1} << 34;
    network.score_steps = whole_score_steps(network);
    require_64_bits(network, "network");
    const std::size_t steps = 2000;
    ASSERT_GE(longest_sequence(network), static_cast<std::int64_t>(steps));
    const data::Dataset set = model::reference::random_set(static_cast<std::uint64_t>(number) + 1,
                                                           3, steps, fixtures::kTask);
    const IntegerEngine engine(network);
    EXPECT_FALSE(engine.vectorised());
    expect_reference(engine, network, set);
    early_scores += network.early_score_shift(steps) > 0 ? 1 : 0;
    // The file stores all of it.
    const IntegerNetwork again = integer_network_from(to_tensors(network), "file");
    expect_same(ReferenceExecutor(again).run(set.sequence(0), steps),
                ReferenceExecutor(network).run(set.sequence(0), steps));
  }
  EXPECT_GT(early_rows, 0u);
  EXPECT_GT(early_scores, 0u);
}

TEST(IntegerEngine, RefusesSequencesBeyondTheLongest) {
  const data::Dataset set = fixtures::sequences(1);
  for (const quant::QuantOptions& format : {fixtures::format(1, true), quant::uniform_bits(16)}) {
    IntegerNetwork network = fixtures::network(1, set, format);
    network.score_steps = IntegerNetwork::kEveryLength;
    network.decoder.bias[0] = std::int64_t{1} << 40;
    network.scores.first[0] = 1 << 20;
    ThreadPool pool(1);
    EXPECT_THAT([&] { IntegerEngine(network).run(model::reference::batch_of(set), pool); },
                ThrowsMessage<Error>(HasSubstr("up to 7 steps, but a sequence has ")));
    EXPECT_THAT([&] { ReferenceExecutor(network).run(set.sequence(0), 8); },
                ThrowsMessage<Error>(HasSubstr("more than 7 steps")));
    network.pool_last = true;
    IntegerEngine(network).run(model::reference::batch_of(set), pool);
  }
}

TEST(IntegerEngine, RefusesOtherInputs) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork network = fixtures::network(1, set);
  ThreadPool pool(1);
  const data::Dataset narrow = model::reference::random_set(1, 3, 4, {1, 4});
  EXPECT_THAT([&] { IntegerEngine(network).run(model::reference::batch_of(narrow), pool); },
              ThrowsMessage<Error>(HasSubstr("1 channels, but the network has 2 inputs")));
  IntegerStream stream(network);
  const float one = 1;
  EXPECT_THAT(
      [&] {
        stream.step({&one, 1});
      },
      ThrowsMessage<Error>(HasSubstr("1 values, but the network has 2 inputs")));
}

}  // namespace
}  // namespace crosstate::integer
