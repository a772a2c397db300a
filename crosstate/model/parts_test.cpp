#include "crosstate/model/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

ModelOptions shape(int number) {
  ModelOptions o = reference::small_options();
  o.channels = 3 + number % 5;
  o.layers = 1 + number % 3;
  o.states = 2 * (1 + number % 7);
  o.norm = number % 3 == 0 ? Norm::kBatch : number % 3 == 1 ? Norm::kNone : Norm::kLayer;
  o.gate = number % 2 == 0 ? Gate::kSigmoid : Gate::kNone;
  o.train_b = number % 4 == 1;
  if (number % 5 == 4) {
    o.modes = ModeKind::kReal;
    o.init = PoleStart::kReal;
  }
  return o;
}

Network ragged(int number) {
  const Network whole = reference::random_network(shape(number), kTask);
  return whole.part(reference::random_parts(whole, static_cast<std::uint64_t>(number)));
}

void scale_parameter(Network& network, const std::string& name, std::size_t first,
                     std::size_t count, std::size_t stride, float by) {
  for (Parameter& p : network.parameters()) {
    if (p.name != name) continue;
    for (std::size_t i = 0; i < count; ++i) p.value[first + i * stride] *= by;
  }
}

TEST(Parts, RaggedNetworksComputeWhatTheReferenceDoes) {
  for (int number = 0; number < 20; ++number) {
    SCOPED_TRACE(number);
    const Network network = ragged(number);
    const data::Dataset set = reference::random_set(5, 9, 23, kTask, true);
    const std::vector<float> logits = logits_of(network, reference::batch_of(set));
    const auto values = reference::values_of<double>(network);
    for (std::size_t i = 0; i < set.count; ++i) {
      const auto expected = reference::logits(values, reference::sequence_of(set, i));
      for (std::size_t k = 0; k < expected.size(); ++k) {
        EXPECT_NEAR(logits[i * expected.size() + k], expected[k],
                    2e-4 * (1 + std::abs(expected[k])));
      }
    }
  }
}

TEST(Parts, RaggedNetworksHaveTheGradientsOfTheirLoss) {
  for (const int number : {1, 3, 4, 6, 9}) {
    SCOPED_TRACE(number);
    const data::Dataset set = reference::random_set(7, 20, 15, kTask, true);
    ThreadPool pool(1);
    reference::GradientCheck check;
    check.zero = {"linear.bias"};  // followed by batch norm
    check.run(ragged(number), reference::batch_of(set), {}, pool);
  }
}

TEST(Parts, EverythingIsTheNetworkItself) {
  const Network whole = reference::random_network(shape(3), kTask);
  const Network same = whole.part(NetworkParts::of(whole));
  EXPECT_EQ(formats::format_safetensors(same.to_tensors()),
            formats::format_safetensors(whole.to_tensors()));
}

TEST(Parts, WhatContributesNothingGoesWithoutATrace) {
  Network whole = reference::random_network(shape(2), kTask);  // five channels, three modes
  ASSERT_EQ(whole.state().shapes[0], BlockShape::whole(5, 3));
  NetworkParts parts = NetworkParts::of(whole);
  // Removed: mode 4 of block 0, channel 2 of block 1's recurrence, channel 3 of the stream.
  scale_parameter(whole, "layers.0.C", 8, 2, 1, 0);
  parts.blocks[0].modes.erase(parts.blocks[0].modes.begin() + 4);
  scale_parameter(whole, "layers.1.linear.weight", 2, whole.state().linear_outputs(), 5, 0);
  parts.blocks[1].channels.erase(parts.blocks[1].channels.begin() + 2);
  scale_parameter(whole, "decoder.weight", 3, 4, 5, 0);
  for (const char* block : {"layers.0.", "layers.1.", "layers.2."}) {
    const std::string name = block;
    scale_parameter(whole, name + "linear.weight", 3, whole.state().linear_outputs(), 5, 0);
  }
  const data::Dataset set = reference::random_set(5, 9, 23, kTask, true);
  const data::Batch batch = reference::batch_of(set);
  EXPECT_THAT(logits_of(whole.part(parts), batch),
              testing::Pointwise(testing::FloatNear(1e-5f), logits_of(whole, batch)));
  parts.stream = {0, 1, 2, 4};
  const Network small = whole.part(parts);
  EXPECT_EQ(small.state().channels(), 4u);
  EXPECT_LT(small.parameter_count(), whole.parameter_count());
}

TEST(Parts, AStreamChannelThatNothingReadsGoesWithoutATrace) {
  ModelOptions options = shape(1);
  options.channels = 5;
  ASSERT_EQ(options.norm, Norm::kNone);
  Network whole = reference::random_network(options, kTask);
  for (int l = 0; l < options.layers; ++l) {
    scale_parameter(whole, "layers." + std::to_string(l) + ".linear.weight", 3,
                    whole.state().linear_outputs(), 5, 0);
  }
  scale_parameter(whole, "decoder.weight", 3, 4, 5, 0);
  NetworkParts parts = NetworkParts::of(whole);
  parts.stream = {0, 1, 2, 4};
  const data::Dataset set = reference::random_set(5, 9, 23, kTask, true);
  const data::Batch batch = reference::batch_of(set);
  EXPECT_THAT(logits_of(whole.part(parts), batch),
              testing::Pointwise(testing::FloatNear(1e-5f), logits_of(whole, batch)));
}

TEST(Parts, RaggedNetworksSurviveTheirFile) {
  for (int number = 0; number < 10; ++number) {
    SCOPED_TRACE(number);
    Network network = ragged(number);
    if (number % 3 == 1) {
      ThreadPool pool(1);
      const data::Batch batch = reference::batch_of(reference::random_set(5, 9, 23, kTask));
      network.quantize(quant::quant_preset("w8a8s8"), {&batch, 1}, pool);
    }
    const formats::Safetensors content = network.to_tensors();
    const Network again = Network::from_tensors(content, "file");
    EXPECT_EQ(again.state().shapes, network.state().shapes);
    EXPECT_EQ(formats::format_safetensors(again.to_tensors()),
              formats::format_safetensors(content));
  }
}

TEST(Parts, OneModeAndOneChannelAreANetwork) {
  const Network whole = reference::random_network(shape(4), kTask);
  NetworkParts parts = NetworkParts::of(whole);
  parts.stream = {1};
  for (std::size_t l = 0; l < parts.blocks.size(); ++l) {
    parts.blocks[l].modes = {whole.state().shapes[l].first[2] - 1};
  }
  const Network small = whole.part(parts);
  const data::Dataset set = reference::random_set(5, 9, 23, kTask);
  for (const float v : logits_of(small, reference::batch_of(set))) EXPECT_TRUE(std::isfinite(v));
}

void expect_refused(const Network& network, const NetworkParts& parts, const std::string& what) {
  try {
    network.part(parts);
    ADD_FAILURE() << "accepted: " << what;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(what));
  }
}

TEST(Parts, RefusesWhatIsNoPart) {
  const Network whole = reference::random_network(shape(2), kTask);
  const NetworkParts all = NetworkParts::of(whole);
  NetworkParts parts = all;
  parts.stream = {};
  expect_refused(whole, parts, "stream");
  parts.stream = {1, 1};
  expect_refused(whole, parts, "ascending");
  parts.stream = {5};
  expect_refused(whole, parts, "below 5");
  parts = all;
  parts.blocks[1].modes = {0};
  parts.blocks[1].channels = {1, 2};
  expect_refused(whole, parts, "block 1: no mode is left");
  parts.blocks.pop_back();
  expect_refused(whole, parts, "2 blocks, expected 3");
}

TEST(Parts, FilesWithImpossibleBlocksAreRefused) {
  const Network network = ragged(2);
  const formats::Safetensors content = network.to_tensors();
  const auto refused = [&](const std::string& name, std::vector<std::int32_t> values,
                           const std::string& what) {
    formats::Safetensors damaged = content;
    const std::size_t count = values.size();
    damaged.tensors[name] = formats::Tensor::from(values, {count});
    try {
      Network::from_tensors(damaged, "file");
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(what));
    }
  };
  refused("layers.0.channels", {1, 0}, "ascend");
  refused("layers.0.channels", {0, 99}, "99");
  const std::vector<std::int32_t> none(network.state().shapes[0].size(), 0);
  refused("layers.0.modes", none, "no channel has modes");
  if (none.size() > 1) refused("layers.0.modes", {1}, "1 numbers, expected");
  refused("layers.0.modes", {1, -1}, "-1");
  formats::Safetensors lacking = content;
  lacking.tensors.erase("layers.0.modes");
  EXPECT_THROW(Network::from_tensors(lacking, "file"), Error);
}

}  // namespace
}  // namespace crosstate::model
