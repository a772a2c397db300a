#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/model/network.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;

class StraightThrough : public testing::Test {
 protected:
  // Gradients by name, with one range changed by `shift` and the others widened.
  std::map<std::string, std::vector<double>> gradients(quant::QuantOptions quant,
                                                       quant::StraightThrough kind,
                                                       const std::string& range = "",
                                                       float shift = 0) {
    quant.straight_through = kind;
    ModelOptions o = reference::small_options();
    o.norm = Norm::kNone;
    o.activation = kernels::Activation::kIdentity;
    Network network = random_network(o, kTask);
    network.quantize(quant, {&batch_, 1}, pool_);
    for (Parameter& p : network.parameters()) {
      if (p.group == ParameterGroup::kRange) p.value[0] += p.name == range ? shift : 0.7f;
    }
    network.train_step(batch_, {}, pool_);
    std::map<std::string, std::vector<double>> all;
    for (const Parameter& p : network.parameters()) all[p.name] = p.gradient;
    return all;
  }
  static double size(const std::vector<double>& gradient) {
    double sum = 0;
    for (const double g : gradient) sum += std::abs(g);
    return sum;
  }

  ThreadPool pool_{2};
  const data::Batch batch_ = batch_of(random_set(3, 37, 23, kTask, true));
};

TEST_F(StraightThrough, DoesNotMatterWithinTheRanges) {
  quant::QuantOptions quant = quant::uniform_bits(8);
  quant.gate.bits = 0;  // a gate close to 1 exceeds its last code
  EXPECT_EQ(gradients(quant, quant::StraightThrough::kClip),
            gradients(quant, quant::StraightThrough::kPass));
  quant.gate.bits = 8;
  EXPECT_EQ(gradients(quant, quant::StraightThrough::kClip).at("decoder.weight"),
            gradients(quant, quant::StraightThrough::kPass).at("decoder.weight"));
}

TEST_F(StraightThrough, RangesFollowRoundingErrorsOnlyWithLsq) {
  quant::QuantOptions lsq = quant::uniform_bits(8), pact = lsq;
  pact.range_gradient = kernels::RangeGradient::kClipping;
  const std::string clipped = "range.layers.0.linear";
  for (const bool clips : {false, true}) {
    const auto one = gradients(lsq, quant::StraightThrough::kClip, clips ? clipped : "", -2);
    const auto other = gradients(pact, quant::StraightThrough::kClip, clips ? clipped : "", -2);
    for (const auto& [name, gradient] : one) {
      SCOPED_TRACE(name + (clips ? ", one range clips" : ", nothing clips"));
      if (!name.starts_with("range.")) {
        EXPECT_EQ(gradient, other.at(name));
        continue;
      }
      // No rounding there: the codes of the identity are those of the SSM output.
      if (!name.ends_with(".activation")) {
        EXPECT_GT(size(gradient), 0);
      }
      const bool follows = clips && name == clipped;
      EXPECT_EQ(size(other.at(name)) > 0, follows);
    }
  }
}

// A range so small that every value is outside it.
TEST_F(StraightThrough, PassesOrStopsGradientsBeyondTheRange) {
  const struct {
    const char* range;
    quant::ActivationSite quant::QuantOptions::*site;
    std::vector<std::string> before, behind;
  } cases[] = {
      {"range.layers.0.ssm_output",
       &quant::QuantOptions::ssm_output,
       {"layers.0.C", "layers.0.D", "layers.0.log_dt"},
       {"layers.0.linear.weight", "layers.0.linear.bias", "decoder.weight"}},
      {"range.layers.0.activation",
       &quant::QuantOptions::activation,
       {"layers.0.C", "layers.0.D", "layers.0.log_dt"},
       {"layers.0.linear.weight", "layers.0.linear.bias", "decoder.weight"}},
      {"range.layers.0.linear",
       &quant::QuantOptions::linear,
       {"layers.0.C", "layers.0.D", "layers.0.linear.weight", "layers.0.linear.bias"},
       {"decoder.weight", "decoder.bias"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.range);
    quant::QuantOptions quant = quant::quant_preset("float");
    (quant.*c.site).bits = 8;
    (quant.*c.site).scales = quant::ScaleKind::kFree;
    const auto clip = gradients(quant, quant::StraightThrough::kClip, c.range, -40);
    const auto pass = gradients(quant, quant::StraightThrough::kPass, c.range, -40);
    for (const std::string& name : c.before) {
      EXPECT_EQ(size(clip.at(name)), 0) << name;
      EXPECT_GT(size(pass.at(name)), 0) << name;
    }
    for (const std::string& name : c.behind) {
      EXPECT_EQ(clip.at(name), pass.at(name)) << name;
      EXPECT_GT(size(clip.at(name)), 0) << name;
    }
    EXPECT_EQ(clip.at(c.range), pass.at(c.range));  // how the range itself learns is another matter
  }
}

}  // namespace
}  // namespace crosstate::model
