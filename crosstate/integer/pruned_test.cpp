// Integer networks whose blocks lack modes and channels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"
#include "crosstate/kernels/reference/testing.h"

namespace crosstate::integer {
namespace {

using testing::HasSubstr;

model::Network pruned(int number, const data::Dataset& set) {
  quant::QuantOptions format = fixtures::format(number, true);
  fixtures::round_state(format.state, number % 7 == 3   ? "stochastic"
                                      : number % 7 == 5 ? "by-pole"
                                                        : "nearest");
  const model::Network whole = fixtures::rounded_network(number, set, format);
  return whole.part(model::reference::random_parts(whole, static_cast<std::uint64_t>(number)));
}

void expect_same(const IntegerResult& got, const IntegerResult& wanted) {
  EXPECT_EQ(got.scores, wanted.scores);
  EXPECT_EQ(got.count, wanted.count);
  EXPECT_EQ(got.shift, wanted.shift);
}

TEST(PrunedIntegers, FastExecutorsEqualTheReferenceOnEveryTarget) {
  kernels::reference::on_every_target([] {
    std::size_t vectorised = 0;
    for (int number = 0; number < 40; ++number) {
      SCOPED_TRACE(number);
      const data::Dataset set = fixtures::sequences(number);
      const IntegerNetwork network = to_integers(pruned(number, set));
      const IntegerEngine engine(network);
      vectorised += engine.vectorised() ? 1 : 0;
      ThreadPool pool(1 + number % 3);
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
    EXPECT_GE(vectorised, 35u);
  });
}

// Many channels with few modes, and one with many, which uses several lanes.
TEST(PrunedIntegers, StreamsWithModesInOtherLanes) {
  model::ModelOptions options = fixtures::shape(1);
  options.channels = 20;
  options.states = 26;
  options.layers = 2;
  const model::Network whole = model::reference::random_network(options, fixtures::kTask);
  model::NetworkParts parts = model::NetworkParts::of(whole);
  for (model::NetworkParts::Block& block : parts.blocks) {
    std::erase_if(block.modes, [](std::size_t i) { return i / 13 != 7 && i % 13 > i / 13 % 3; });
    std::erase(block.channels, 4);
  }
  model::Network network = whole.part(parts);
  const data::Dataset set = fixtures::sequences(1);
  ThreadPool pool(1);
  const data::Batch batch = model::reference::batch_of(set);
  for (const char* rounding : {"nearest", "stochastic", "residue 3", "by-pole"}) {
    model::Network rounded = network;
    quant::QuantOptions format = quant::quant_preset("w8a8s8");
    fixtures::round_state(format.state, rounding);
    rounded.quantize(format, {&batch, 1}, pool);
    const IntegerNetwork integers = to_integers(rounded);
    IntegerStream stream(integers);
    ASSERT_TRUE(stream.vectorised());
    ReferenceExecutor executor(integers);
    for (std::size_t i = 0; i < 8; ++i) {
      stream.reset();
      for (std::size_t t = 0; t < set.length_of(i); ++t) {
        stream.step(set.sequence(i).subspan(t * set.channels, set.channels));
      }
      expect_same(stream.result(), executor.run(set.sequence(i), set.length_of(i)));
    }
  }
}

TEST(PrunedIntegers, LogitsAreThoseOfTheRoundedNetworkWithPowersOfTwo) {
  for (const int number : {0, 3, 4, 6, 9, 12, 16}) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    const model::Network network = pruned(number, set);
    const IntegerNetwork integers = to_integers(network);
    if (!certify(integers).exact_in_float) continue;
    ThreadPool pool(1);
    const data::Batch batch = model::reference::batch_of(set);
    std::vector<float> logits;
    network.evaluate(batch, pool, &logits);
    const std::vector<IntegerResult> results = IntegerEngine(integers).run(batch, pool);
    for (std::size_t i = 0; i < set.count; ++i) {
      const std::vector<float> of_integers = results[i].logits();
      for (std::size_t k = 0; k < of_integers.size(); ++k) {
        EXPECT_EQ(of_integers[k], logits[i * of_integers.size() + k]);
      }
    }
  }
}

// Cartesian codes do not depend on the other poles of a channel.
TEST(PrunedIntegers, SilentModesGoWithoutATrace) {
  const data::Dataset set = fixtures::sequences(1);
  quant::QuantOptions format = fixtures::format(1, true);
  ASSERT_EQ(format.a.coding, quant::PoleCoding::kCartesian);
  model::Network whole = fixtures::rounded_network(1, set, format);
  model::NetworkParts parts = model::NetworkParts::of(whole);
  std::vector<float>& c = whole.parameters()[whole.state().blocks[0].c].value;
  for (const std::size_t i : {5, 2}) {
    c[2 * i] = c[2 * i + 1] = 0;
    parts.blocks[0].modes.erase(parts.blocks[0].modes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const IntegerNetwork before = to_integers(whole), after = to_integers(whole.part(parts));
  EXPECT_EQ(after.blocks[0].ar.size() + 2, before.blocks[0].ar.size());
  ReferenceExecutor one(before), other(after);
  for (std::size_t i = 0; i < set.count; ++i) {
    expect_same(other.run(set.sequence(i), set.length_of(i)),
                one.run(set.sequence(i), set.length_of(i)));
  }
}

TEST(PrunedIntegers, SurviveTheirFile) {
  for (int number = 0; number < 12; ++number) {
    const data::Dataset set = fixtures::sequences(number);
    const formats::Safetensors content = to_tensors(to_integers(pruned(number, set)));
    const IntegerNetwork again = integer_network_from(content, "file");
    EXPECT_EQ(formats::format_safetensors(to_tensors(again)), formats::format_safetensors(content));
  }
}

TEST(PrunedIntegers, DamagedShapesAreRefused) {
  // Some random networks lose the same number of modes in every channel; they store no tensor of
  // modes.
  formats::Safetensors content;
  for (int number = 0; !content.tensors.contains("layers.0.modes"); ++number) {
    ASSERT_LT(number, 20);
    content = to_tensors(to_integers(pruned(number, fixtures::sequences(number))));
  }
  content.tensors["layers.0.modes"] = formats::Tensor::from(std::vector<std::int32_t>{1, 99}, {2});
  EXPECT_THAT([&] { integer_network_from(content, "file"); },
              testing::ThrowsMessage<Error>(HasSubstr("layers.0.modes")));
}

}  // namespace
}  // namespace crosstate::integer
