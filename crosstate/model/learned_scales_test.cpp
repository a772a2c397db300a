// Trained scales of weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using testing::HasSubstr;
using testing::SizeIs;
using testing::ThrowsMessage;

quant::QuantOptions learned(const std::string& preset, bool are_learned = true) {
  quant::QuantOptions quant;
  quant.preset = preset;
  for (quant::WeightSite* site :
       {&quant.encoder, &quant.c, &quant.d, &quant.weight, &quant.decoder}) {
    site->learned = are_learned;
  }
  return quant;
}

class LearnedScales : public testing::Test {
 protected:
  Network quantized(const quant::QuantOptions& quant, Norm norm = Norm::kNone) {
    ModelOptions o = reference::small_options();
    o.norm = norm;
    o.layers = 2;
    Network network = random_network(o, kTask);
    network.quantize(quant, {&batch_, 1}, pool_);
    return network;
  }
  std::vector<float> logits(const Network& network) {
    std::vector<float> values;
    network.evaluate(batch_, pool_, &values);
    return values;
  }
  static void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
  }
  static std::map<std::string, std::vector<float>> scales(const Network& network) {
    std::map<std::string, std::vector<float>> all;
    for (const Parameter& p : network.parameters()) {
      if (p.name.starts_with("scale.")) all[p.name] = p.value;
    }
    return all;
  }
  static void move_scales(Network& network, float by) {
    for (Parameter& p : network.parameters()) {
      if (!p.name.starts_with("scale.")) continue;
      for (float& value : p.value) value += by;
    }
  }

  ThreadPool pool_{2};
  const data::Batch batch_ = batch_of(random_set(3, 37, 23, kTask, true));
};

TEST_F(LearnedScales, StartWhereTheRangePutsThem) {
  for (const char* preset : {"w2a0s0", "w4a8s8", "w8a8s8", "w1a8s8"}) {
    SCOPED_TRACE(preset);
    const Network with = quantized(learned(preset)), without = quantized(learned(preset, false));
    expect_near(logits(with), logits(without));
    EXPECT_EQ(with.parameter_count(), without.parameter_count());
    const auto found = scales(with);
    EXPECT_THAT(found, SizeIs(2 + 2 * 3));
    EXPECT_THAT(found.at("scale.encoder"), SizeIs(1));  // granularity tensor
    EXPECT_THAT(found.at("scale.decoder"), SizeIs(4));
    EXPECT_THAT(found.at("scale.layers.1.C"), SizeIs(3));
    EXPECT_THAT(found.at("scale.layers.1.D"), SizeIs(1));
    EXPECT_THAT(found.at("scale.layers.1.linear"), SizeIs(6));
    EXPECT_THAT(scales(without), SizeIs(0));
  }
}

// If every weight is outside the range, the codes do not change under a small change of a scale, so
// the loss has exactly the derivative given by the gradient.
TEST_F(LearnedScales, HaveTheGradientOfTheLossWhereAllWeightsAreClipped) {
  quant::QuantOptions quant = learned("w2a0s0");
  quant.a.bits = 0;
  Network network = quantized(quant);
  for (Parameter& p : network.parameters()) {
    if (p.group != ParameterGroup::kWeight) continue;
    for (float& w : p.value) w = std::copysign(0.5f + std::abs(w), w);
  }
  for (Parameter& p : network.parameters()) {
    if (p.name.starts_with("scale.")) std::fill(p.value.begin(), p.value.end(), -2.5f);
  }
  for (std::size_t l = 0; l < 2; ++l) {
    const float largest =
        *std::ranges::max_element(network.state().coefficients().blocks[l].codes.c_scale);
    for (const float c : network.state().output_weights(l)) ASSERT_GT(std::abs(c), largest);
  }
  network.train_step(batch_, {}, pool_);
  const std::vector<Parameter> analytic = network.parameters();
  const float step = 0.02f;
  for (std::size_t p = 0; p < analytic.size(); ++p) {
    if (!analytic[p].name.starts_with("scale.")) continue;
    for (std::size_t r = 0; r < analytic[p].value.size(); ++r) {
      const auto loss = [&](float by) {
        network.parameters()[p].value[r] = analytic[p].value[r] + by;
        const double value = network.train_step(batch_, {}, pool_).loss;
        network.parameters()[p].value[r] = analytic[p].value[r];
        return value;
      };
      const double slope = (loss(step) - loss(-step)) / (2 * step);
      EXPECT_NEAR(analytic[p].gradient[r], slope, 2e-2 * std::abs(slope) + 1e-5)
          << analytic[p].name << ' ' << r;
    }
  }
}

TEST_F(LearnedScales, KeepTheFunctionWhereNormsAreFolded) {
  Network network = quantized(learned("w4a0s0"), Norm::kBatch);
  move_scales(network, -0.2f);
  const std::vector<float> before = logits(network);
  network.fold_norms();
  expect_near(logits(network), before);
}

TEST_F(LearnedScales, AreStoredInTheModelFile) {
  Network network = quantized(learned("w2a8s8"));
  move_scales(network, 0.3f);
  const Network copy = Network::from_tensors(network.to_tensors(), "copy");
  EXPECT_EQ(scales(copy), scales(network));
  EXPECT_EQ(logits(copy), logits(network));
}

TEST_F(LearnedScales, AreThoseOfThePartsThatStay) {
  Network network = quantized(learned("w4a8s8"));
  move_scales(network, 0.1f);
  NetworkParts kept = NetworkParts::of(network);
  kept.stream.erase(kept.stream.begin());
  for (NetworkParts::Block& block : kept.blocks) {
    block.channels.erase(block.channels.begin());
    block.modes.erase(block.modes.begin(), block.modes.begin() + 2);
  }
  const auto whole = scales(network), part = scales(network.part(kept));
  EXPECT_EQ(part.at("scale.encoder"), whole.at("scale.encoder"));
  EXPECT_EQ(part.at("scale.decoder"), whole.at("scale.decoder"));
  const std::vector<float>&c = whole.at("scale.layers.0.C"), &w = whole.at("scale.layers.0.linear");
  EXPECT_EQ(part.at("scale.layers.0.C"), (std::vector<float>{c[1], c[2]}));
  EXPECT_EQ(part.at("scale.layers.0.linear"), (std::vector<float>{w[1], w[2], w[4], w[5]}));
}

TEST_F(LearnedScales, AreChosenAnewWhereTheBitsChange) {
  Network network = quantized(learned("w8a8s8"));
  move_scales(network, 0.3f);
  const auto before = scales(network);
  EXPECT_THAT(network.requantize(learned("w8a8s8"), {&batch_, 1}, pool_), SizeIs(0));
  EXPECT_EQ(scales(network), before);
  EXPECT_THAT(network.requantize(learned("w2a8s8"), {&batch_, 1}, pool_), SizeIs(2 + 2 * 3));
  const auto after = scales(network), wanted = scales(quantized(learned("w2a8s8")));
  for (const auto& [name, values] : wanted) {
    for (std::size_t r = 0; r < values.size(); ++r) {
      EXPECT_NEAR(after.at(name)[r], values[r], 1e-6) << name;
    }
  }
  EXPECT_THAT(
      [&] {
        network.requantize(learned("w2a8s8", false), {&batch_, 1}, pool_);
      },
      ThrowsMessage<Error>(HasSubstr("quant.encoder.learned")));
}

}  // namespace
}  // namespace crosstate::model
