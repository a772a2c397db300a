// Integer networks with outputs at every step: every executor, the file, and comparison with
// pooling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"
#include "crosstate/quant/options.h"

namespace crosstate::integer {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

IntegerNetwork at_every_step(IntegerNetwork network) {
  network.every_step = network.pool_last = true;
  return network;
}

void expect_same(const IntegerResult& got, const IntegerResult& wanted) {
  EXPECT_EQ(got.scores, wanted.scores);
  EXPECT_EQ(got.count, wanted.count);
  EXPECT_EQ(got.shift, wanted.shift);
}

// The engine in blocks of 7 steps, and the stream, against the reference.
void expect_reference(const IntegerNetwork& network, const data::Dataset& set) {
  ThreadPool pool(2);
  const data::Batch batch = model::reference::batch_of(set);
  const std::vector<IntegerResult> results = IntegerEngine(network).run(batch, pool);
  const std::vector<std::size_t> first = data::first_reads(batch, task::Scope::kStep);
  ASSERT_EQ(results.size(), first.back());
  ReferenceExecutor executor(network);
  IntegerStream stream(network);
  for (std::size_t i = 0; i < set.count; ++i) {
    const std::vector<IntegerResult> wanted = executor.read(set.sequence(i), set.length_of(i));
    ASSERT_EQ(wanted.size(), set.length_of(i));
    stream.reset();
    for (std::size_t t = 0; t < wanted.size(); ++t) {
      expect_same(results[first[i] + t], wanted[t]);
      stream.step(set.sequence(i).subspan(t * set.channels, set.channels));
      expect_same(stream.result(), wanted[t]);
    }
  }
}

TEST(IntegerSteps, AreTheSameOfEveryExecutor) {
  std::size_t vectorised = 0;
  for (int number = 0; number < 24; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    const IntegerNetwork network = at_every_step(fixtures::network(number, set));
    vectorised += IntegerEngine(network).vectorised() ? 1 : 0;
    expect_reference(network, set);
  }
  EXPECT_GT(vectorised, 12u);
}

TEST(IntegerSteps, AreTheSameInWideFormats) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork network = at_every_step(fixtures::network(1, set, quant::uniform_bits(16)));
  EXPECT_FALSE(IntegerEngine(network).vectorised());
  expect_reference(network, set);
}

// Large biases of the decoder, which float lanes could not add exactly.
TEST(IntegerSteps, AreExactInTheDecoder) {
  const data::Dataset set = fixtures::sequences(1);
  IntegerNetwork network = at_every_step(fixtures::network(1, set));
  network.decoder.bias[0] = (std::int64_t{1} << 37) + 1;
  network.scores.first.assign(network.outputs, 3);
  const IntegerEngine engine(network);
  expect_reference(network, set);
}

TEST(IntegerSteps, AreTheLastStepsOfPrefixes) {
  const data::Dataset set = fixtures::sequences(3);
  IntegerNetwork last = fixtures::network(3, set);
  last.pool_last = true;
  const IntegerNetwork network = at_every_step(last);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto steps = ReferenceExecutor(network).read(set.sequence(i), set.length_of(i));
    for (std::size_t t = 0; t < steps.size(); ++t) {
      expect_same(steps[t], ReferenceExecutor(last).run(set.sequence(i), t + 1));
    }
  }
}

TEST(IntegerSteps, ComeFromANetworkTrainedForThem) {
  const data::Dataset set = model::reference::random_step_set(5, 20, 23, fixtures::kTask, true);
  for (const int number : {1, 2, 4}) {
    model::ModelOptions options = fixtures::shape(number);
    options.readout = task::Scope::kStep;
    options.pooling = model::Pooling::kMean;  // without effect
    model::Network network = model::reference::random_network(options, fixtures::kTask);
    ThreadPool pool(1);
    const data::Batch batch = model::reference::batch_of(set);
    network.quantize(fixtures::format(number, true), {&batch, 1}, pool);
    const IntegerNetwork integers = to_integers(network);
    EXPECT_TRUE(integers.every_step);
    EXPECT_TRUE(integers.pool_last);
    EXPECT_EQ(integers.scope(), task::Scope::kStep);
    EXPECT_EQ(certify(integers).longest_sequence, std::numeric_limits<std::int64_t>::max());
    // Scales are powers of two, so the quantized network has the same outputs.
    ASSERT_TRUE(certify(integers).exact_in_float);
    std::vector<float> logits;
    network.evaluate(batch, pool, &logits);
    const std::vector<IntegerResult> results = IntegerEngine(integers).run(batch, pool);
    const std::vector<std::size_t> first = data::first_reads(batch, task::Scope::kStep);
    for (std::size_t i = 0; i < set.count; ++i) {
      for (std::size_t t = 0; t < set.length_of(i); ++t) {
        const float* want = logits.data() + (i * batch.length + t) * integers.outputs;
        EXPECT_EQ(results[first[i] + t].logits(),
                  std::vector<float>(want, want + integers.outputs));
      }
    }
  }
}

TEST(IntegerSteps, AreInTheFile) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork plain = fixtures::network(1, set);
  EXPECT_EQ(to_tensors(plain).metadata.at("integer").find("readout"), std::string::npos);
  const formats::Safetensors file = to_tensors(at_every_step(plain));
  const IntegerNetwork again = integer_network_from(file, "file");
  EXPECT_TRUE(again.every_step);
  EXPECT_EQ(formats::format_safetensors(to_tensors(again)), formats::format_safetensors(file));
  const auto with = [&](const char* key, const char* value) {
    formats::Safetensors changed = file;
    nlohmann::json integer = parse_json(file.metadata.at("integer"));
    integer[key] = value;
    changed.metadata["integer"] = exact_json_text(integer);
    return changed;
  };
  EXPECT_FALSE(integer_network_from(with("readout", "sequence"), "file").every_step);
  EXPECT_THAT([&] { integer_network_from(with("readout", "often"), "file"); },
              ThrowsMessage<Error>(HasSubstr("readout = \"often\"")));
  EXPECT_THAT([&] { integer_network_from(with("pooling", "mean"), "file"); },
              ThrowsMessage<Error>(HasSubstr("pooling = \"mean\"")));
}

// Older readers of version 2 would take such a network for one with a result per sequence.
TEST(IntegerSteps, HaveFilesOfVersionThree) {
  const data::Dataset set = fixtures::sequences(1);
  const IntegerNetwork plain = fixtures::network(1, set);
  ASSERT_NE(plain.state_rounding, kernels::RoundingMode::kNoiseShaped);
  EXPECT_EQ(to_tensors(plain).metadata.at("format"), "crosstate integer network 2");
  const formats::Safetensors file = to_tensors(at_every_step(plain));
  EXPECT_EQ(file.metadata.at("format"), "crosstate integer network 3");
  EXPECT_FALSE(file.tensors.contains("layers.0.residue_bits"));
  const nlohmann::json integer = parse_json(file.metadata.at("integer"));
  EXPECT_EQ(integer.at("input").at("quant_min"), plain.input.quant_min);
  EXPECT_EQ(integer.at("input").at("quant_max"), plain.input.quant_max);
  EXPECT_FALSE(integer.at("input").contains("low"));
}

TEST(IntegerSteps, AreReadFromFilesOfVersionTwo) {
  const data::Dataset set = fixtures::sequences(1);
  IntegerNetwork plain = fixtures::network(1, set);
  plain.pool_last = true;
  formats::Safetensors file = to_tensors(plain);
  ASSERT_EQ(file.metadata.at("format"), "crosstate integer network 2");
  nlohmann::json integer = parse_json(file.metadata.at("integer"));
  integer["readout"] = "step";
  file.metadata["integer"] = exact_json_text(integer);
  const IntegerNetwork old = integer_network_from(file, "old");
  EXPECT_TRUE(old.every_step);
  EXPECT_EQ(formats::format_safetensors(to_tensors(old)),
            formats::format_safetensors(to_tensors(at_every_step(plain))));
}

}  // namespace
}  // namespace crosstate::integer
