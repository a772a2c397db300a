// Changing the formats of a network between stages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/model/network.h"
#include "crosstate/model/pass.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using reference::small_options;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

class Requantize : public testing::Test {
 protected:
  static Network start(Norm norm = Norm::kNone) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.layers = 2;
    return random_network(o, kTask);
  }
  Network quantized(const std::string& preset, Norm norm = Norm::kNone) {
    Network network = start(norm);
    network.quantize(quant::quant_preset(preset), {&batch_, 1}, pool_);
    return network;
  }
  std::vector<std::size_t> requantize(Network& network, const std::string& preset) {
    return network.requantize(quant::quant_preset(preset), {&batch_, 1}, pool_);
  }
  static std::string bytes(const Network& network) {
    return formats::format_safetensors(network.to_tensors());
  }
  static std::size_t ranges(const Network& network) {
    return static_cast<std::size_t>(
        std::count_if(network.parameters().begin(), network.parameters().end(),
                      [](const Parameter& p) { return p.group == ParameterGroup::kRange; }));
  }
  static void move_ranges(Network& network) {
    for (Parameter& p : network.parameters()) {
      if (p.group == ParameterGroup::kRange) p.value[0] += 0.25f;
    }
  }

  ThreadPool pool_{1};
  const data::Batch batch_ = batch_of(random_set(1, 37, 23, kTask, true));
};

TEST_F(Requantize, ChangesNothingForTheSameFormats) {
  Network network = quantized("w4a8s8");
  move_ranges(network);
  const std::string before = bytes(network);
  EXPECT_THAT(requantize(network, "w4a8s8"), IsEmpty());
  EXPECT_TRUE(bytes(network) == before);
}

TEST_F(Requantize, KeepsTrainedRangesWhereOnlyWeightsChange) {
  Network network = quantized("w8a8s8", Norm::kBatch);
  move_ranges(network);
  const Network before = network;
  EXPECT_THAT(requantize(network, "w2a8s8"), IsEmpty());
  for (std::size_t p = 0; p < before.parameters().size(); ++p) {
    EXPECT_EQ(network.parameters()[p].value, before.parameters()[p].value);
  }
  EXPECT_EQ(network.state().state_steps, before.state().state_steps);
  EXPECT_EQ(network.state().quant_mins, before.state().quant_mins);
  const Coefficients c = network.state().coefficients();
  for (const BlockCoefficients& block : c.blocks) {
    const auto row = block.weight.begin();
    EXPECT_LE(std::set<float>(row, row + 3).size(), 3u);
  }
}

// At 16 bits the quantization of weights hardly changes the observed values.
TEST_F(Requantize, ChoosesTheRangesOfNewlyRoundedSites) {
  for (const char* before : {"w16a0s0", "w16a4s0", "w16a4s4"}) {
    SCOPED_TRACE(before);
    Network network = quantized(before);
    const Network wanted = quantized("w16a8s8");
    std::vector<std::size_t> chosen = requantize(network, "w16a8s8");
    ASSERT_EQ(chosen.size(), ranges(network));
    std::sort(chosen.begin(), chosen.end());
    for (const std::size_t p : chosen) {
      EXPECT_EQ(network.parameters()[p].group, ParameterGroup::kRange);
      EXPECT_NEAR(network.parameters()[p].value[0], wanted.parameters()[p].value[0], 2e-2)
          << network.parameters()[p].name;
    }
    EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
    EXPECT_EQ(network.quant_options(), wanted.quant_options());
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t i = 0; i < wanted.state().state_steps[l].size(); ++i) {
        const float step = wanted.state().state_steps[l][i];
        EXPECT_NEAR(network.state().state_steps[l][i], step, 0.02 * step);
      }
    }
  }
}

TEST_F(Requantize, MeasuresStatesInTheirOwnUnits) {
  Network network = quantized("w8a8s0");
  move_ranges(network);
  const std::vector<Parameter> before = network.parameters();
  EXPECT_THAT(requantize(network, "w8a8s8"), IsEmpty());
  for (std::size_t p = 0; p < before.size(); ++p) {
    EXPECT_EQ(network.parameters()[p].value, before[p].value);
  }
  const Observers observers =
      measure_observers(network.state(), network.state().coefficients(), {&batch_, 1}, pool_);
  for (const Observers::Block& block : observers.blocks) {
    for (const float x : block.state) {
      EXPECT_EQ(x, std::nearbyint(x));
      EXPECT_LE(x, 127);
      EXPECT_GE(x, 50);  // the step is at most twice as coarse as it has to be
    }
  }
}

TEST_F(Requantize, DoesNotDependOnTheNumberOfThreads) {
  Network one = quantized("w8a0s0", Norm::kBatch), four = one;
  requantize(one, "w2a8s8");
  ThreadPool pool(4);
  four.requantize(quant::quant_preset("w2a8s8"), {&batch_, 1}, pool);
  EXPECT_TRUE(bytes(one) == bytes(four));
}

TEST_F(Requantize, RefusesWhatItCannotChange) {
  Network network = start(Norm::kBatch);
  EXPECT_THAT([&] { requantize(network, "w8a8s8"); },
              ThrowsMessage<Error>(HasSubstr("not quantized yet")));
  network.quantize({}, {&batch_, 1}, pool_);
  const std::string before = bytes(network);
  quant::QuantOptions per_tensor;
  per_tensor.granularity = quant::Granularity::kTensor;
  EXPECT_THAT(
      [&] {
        network.requantize(per_tensor, {&batch_, 1}, pool_);
      },
      ThrowsMessage<Error>(HasSubstr("fold batch norms")));
  const data::Batch narrow = batch_of(random_set(1, 19, 23, {1, 4}));
  EXPECT_THAT(
      [&] {
        network.requantize({}, {&narrow, 1}, pool_);
      },
      ThrowsMessage<Error>(HasSubstr("1 channels, but the network has 2 inputs")));
  EXPECT_TRUE(bytes(network) == before);
}

}  // namespace
}  // namespace crosstate::model
