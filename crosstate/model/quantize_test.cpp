// Ranges that calibration chooses, against the values of the scalar reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "crosstate/base/error.h"
#include "crosstate/model/calibration.h"
#include "crosstate/model/pass.h"
#include "crosstate/model/testing.h"
#include "crosstate/quant/weights.h"

namespace crosstate::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class QuantizeNetwork : public testing::Test {
 protected:
  static Network floats(int number = 0) {
    return reference::small_network(Norm::kNone, number % 2 == 1, number >= 2, kTask);
  }
  static quant::QuantOptions free_ranges(quant::ActivationRange range) {
    quant::QuantOptions q = quant::quant_preset("w8a8s8");
    for (quant::ActivationSite* site :
         {&q.input, &q.residual, &q.ssm_output, &q.activation, &q.linear}) {
      site->scales = quant::ScaleKind::kFree;
      site->codes = quant::CodeSymmetry::kSymmetric;
      site->range = range;
    }
    return q;
  }
  static std::string bytes(const Network& network) {
    return formats::format_safetensors(network.to_tensors());
  }
  static float range(const Network& network, const std::string& name) {
    for (const Parameter& p : network.parameters()) {
      if (p.name == "range." + name) return p.value[0];
    }
    ADD_FAILURE() << "no range of " << name;
    return 0;
  }
  Network quantized(const quant::QuantOptions& format, int number = 0) {
    Network network = floats(number);
    network.quantize(format, batches_, pool_);
    return network;
  }

  ThreadPool pool_{1};
  const data::Dataset set_ = reference::random_set(1, 23, 21, kTask, true);
  const std::vector<data::Batch> batches_ = {reference::batch_of(set_, {0, 1, 2, 3, 4, 5, 6, 7, 8}),
                                             reference::batch_of(set_, {9, 10, 11, 20, 21, 22})};
};

// With absmax, a range ends at the largest magnitude of its site in the float network.
TEST_F(QuantizeNetwork, ReachesTheLargestValueOfEverySite) {
  for (int number = 0; number < 4; ++number) {
    SCOPED_TRACE(number);
    const Network plain = floats(number);
    std::map<std::string, double> peaks;
    std::vector<double> states(plain.state().first_mode(1) + plain.state().shapes[1].modes(), 0);
    const auto see = [&](reference::Site site, std::size_t at, double x) {
      using reference::Site;
      const std::string layer = "layers." + std::to_string(at) + ".";
      const auto keep = [&](double& peak) { peak = std::max(peak, std::abs(x)); };
      if (site == Site::kInput) keep(peaks["input"]);
      if (site == Site::kResidual) keep(peaks["residual"]);
      if (site == Site::kSsmOutput) keep(peaks[layer + "ssm_output"]);
      if (site == Site::kActivation) keep(peaks[layer + "activation"]);
      if (site == Site::kLinear) keep(peaks[layer + "linear"]);
      if (site == Site::kState) keep(states[at]);
      return x;
    };
    const auto values = reference::values_of<double>(plain);
    for (const std::size_t i : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22}) {
      reference::logits(values, reference::sequence_of(set_, i), reference::Form::kRecurrence, see);
    }
    const Network network = quantized(free_ranges(quant::ActivationRange::kAbsmax), number);
    EXPECT_EQ(peaks.size(), 2u + 2 * 3);
    for (const auto& [name, peak] : peaks) {
      EXPECT_NEAR(std::exp(range(network, name)) * 127, peak, 1e-5 * peak) << name;
    }
    for (const int least : network.state().quant_mins) EXPECT_EQ(least, -127);
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t i = 0; i < network.state().state_steps[l].size(); ++i) {
        const double peak = states[network.state().first_mode(l) + i];
        EXPECT_NEAR(network.state().state_steps[l][i] * 127, peak, 1e-5 * peak);
      }
    }
  }
}

// A caller that has measured the network may pass what it has seen.
TEST_F(QuantizeNetwork, ChoosesTheSameFromObservers) {
  for (const auto range : {quant::ActivationRange::kClip, quant::ActivationRange::kAbsmax,
                           quant::ActivationRange::kPercentile, quant::ActivationRange::kMse}) {
    for (const bool learned : {false, true}) {
      quant::QuantOptions format = free_ranges(range);
      format.weight.learned = format.c.learned = format.d.learned = learned;
      Network network = floats();
      const Observers observers = measure_observers(network.state(), network.state().coefficients(),
                                                    batches_, pool_, wants_histograms(format));
      network.quantize(format, observers);
      EXPECT_EQ(bytes(network), bytes(quantized(format))) << name_of(range);
    }
  }
}

// Ranges are chosen in the float network, whatever becomes of the weights.
TEST_F(QuantizeNetwork, DoesNotChooseByTheBitsOfOtherSites) {
  const Network fine = quantized(quant::quant_preset("w8a8s8")),
                coarse = quantized(quant::quant_preset("w2a8s4"));
  for (const Parameter& p : fine.parameters()) {
    if (p.group != ParameterGroup::kRange) continue;
    EXPECT_EQ(range(coarse, p.name.substr(6)), p.value[0]) << p.name;
  }
  EXPECT_EQ(fine.state().quant_mins, coarse.state().quant_mins);
  for (std::size_t i = 0; i < fine.state().state_steps[0].size(); ++i) {
    EXPECT_FLOAT_EQ(coarse.state().state_steps[0][i] * 7, fine.state().state_steps[0][i] * 127);
  }
}

// A site that is zero throughout has no range; its step is small, and nothing becomes NaN.
TEST_F(QuantizeNetwork, GivesSilentSitesASmallStep) {
  for (const auto choice : {quant::ActivationRange::kClip, quant::ActivationRange::kAbsmax,
                            quant::ActivationRange::kPercentile, quant::ActivationRange::kMse}) {
    Network network = floats();
    for (const std::size_t p : {network.state().encoder, network.state().encoder_bias}) {
      std::ranges::fill(network.parameters()[p].value, 0.0f);
    }
    network.quantize(free_ranges(choice), batches_, pool_);
    EXPECT_LT(range(network, "layers.0.ssm_output"), std::log(1e-6));
    EXPECT_TRUE(std::isfinite(range(network, "layers.0.ssm_output")));
    EXPECT_LT(network.state().state_steps[0][0], 1e-6f);
    EXPECT_GT(network.state().state_steps[0][0], 0);
    for (const float logit : logits_of(network, batches_[0])) EXPECT_TRUE(std::isfinite(logit));
  }
}

// The first block has no bias before its states: twice the input gives twice the states.
TEST_F(QuantizeNetwork, MeasuresStatesWithoutTheirRounding) {
  quant::QuantOptions format = quant::quant_preset("float");
  format.state.bits = 6;
  Network network = floats();
  std::ranges::fill(network.parameters()[network.state().encoder_bias].value, 0.0f);
  network.quantize(format, batches_, pool_);
  const std::vector<std::vector<float>> steps = network.state().state_steps;
  const std::string before = bytes(network);
  network.measure_states(batches_, pool_);
  EXPECT_EQ(bytes(network), before);
  data::Dataset louder = set_;
  for (float& v : louder.values) v *= 2;
  const std::vector<data::Batch> loud = {reference::batch_of(louder, {0, 1, 2, 3, 4, 5, 6, 7, 8}),
                                         reference::batch_of(louder, {9, 10, 11, 20, 21, 22})};
  network.measure_states(loud, pool_);
  for (std::size_t i = 0; i < steps[0].size(); ++i) {
    EXPECT_EQ(network.state().state_steps[0][i], 2 * steps[0][i]);
  }
  EXPECT_EQ(network.quant_options().state, quant::resolved(format).state);
  ThreadPool three(3);
  Network other = network;
  other.measure_states(batches_, three);
  EXPECT_EQ(other.state().state_steps, steps);
}

TEST_F(QuantizeNetwork, MeasuresNoStatesThatAreNotRounded) {
  Network network = quantized(quant::quant_preset("w8a8s0"));
  const std::string before = bytes(network);
  network.measure_states(batches_, pool_);
  EXPECT_EQ(bytes(network), before);
  Network plain = floats();
  EXPECT_THAT([&] { plain.measure_states(batches_, pool_); },
              ThrowsMessage<Error>(HasSubstr("not quantized yet")));
  const data::Batch narrow = reference::batch_of(reference::random_set(1, 19, 23, {1, 4}));
  EXPECT_THAT(
      [&] {
        network.measure_states({&narrow, 1}, pool_);
      },
      ThrowsMessage<Error>(HasSubstr("1 channels, but the network has 2 inputs")));
}

// Whether training may change a range has no influence on its value.
TEST_F(QuantizeNetwork, KeepsTheRangesOfSitesWhoseCodesStay) {
  quant::QuantOptions format = free_ranges(quant::ActivationRange::kClip);
  Network network = quantized(format);
  for (Parameter& p : network.parameters()) {
    if (p.group == ParameterGroup::kRange) p.value[0] += 0.25f;
  }
  const std::vector<Parameter> before = network.parameters();
  format.residual.learned = format.activation.learned = false;
  EXPECT_THAT(network.requantize(format, batches_, pool_), testing::IsEmpty());
  EXPECT_FALSE(network.quant_options().activation.learned);
  // Of the others, only the range of the site that changes is chosen again.
  format.linear.bits = 5;
  const std::vector<std::size_t> chosen = network.requantize(format, batches_, pool_);
  EXPECT_EQ(chosen.size(), 2u);
  for (std::size_t p = 0; p < before.size(); ++p) {
    const bool again = std::ranges::find(chosen, p) != chosen.end();
    EXPECT_EQ(again, before[p].name.ends_with(".linear")) << before[p].name;
    EXPECT_EQ(network.parameters()[p].value == before[p].value, !again) << before[p].name;
  }
}

TEST_F(QuantizeNetwork, KeepsTheScalesOfWeightsThatItIsTrainedWith) {
  quant::QuantOptions format = quant::quant_preset("w4a8s8");
  format.weight.learned = true;
  Network network = quantized(format);
  const std::string before = bytes(network);
  const auto refused = [&](const quant::QuantOptions& next, const std::string& key) {
    EXPECT_THAT([&] { network.requantize(next, batches_, pool_); },
                ThrowsMessage<Error>(AllOf(HasSubstr("requantize: quant." + key + ".learned"),
                                           HasSubstr("expected those the network is quantized"))));
    EXPECT_EQ(bytes(network), before);
  };
  quant::QuantOptions next = format;
  next.weight.learned = false;
  refused(next, "weight");
  next = format;
  next.c.learned = true;
  refused(next, "c");
  next = format;
  next.weight.granularity = quant::Granularity::kTensor;
  refused(next, "weight");
  next = format;
  next.decoder.learned = true;
  refused(next, "decoder");
}

// Without values there is no range; weights need none.
TEST_F(QuantizeNetwork, NeedsSequencesWhereItRoundsValues) {
  const auto refused = [](const std::function<void()>& what) {
    EXPECT_THAT(
        what, ThrowsMessage<Error>(HasSubstr("calibration: no sequences, expected at least one")));
  };
  Network network = floats();
  const std::string before = bytes(network);
  quant::QuantOptions weights = quant::quant_preset("w4a0s0"), corrected = weights;
  corrected.bias_correction = true;
  for (const char* preset : {"w8a8s8", "w8a0s8", "w8a8s0"}) {
    refused([&] { network.quantize(quant::quant_preset(preset), {}, pool_); });
    refused([&] { network.quantize(quant::quant_preset(preset), Observers(network.state())); });
  }
  refused([&] { network.quantize(corrected, {}, pool_); });
  EXPECT_EQ(bytes(network), before);
  Network same = network;
  same.quantize(weights, Observers(network.state()));
  network.quantize(weights, {}, pool_);
  EXPECT_EQ(bytes(network), bytes(same));
  EXPECT_EQ(bytes(network), bytes(quantized(weights)));
  // The same with a network that is quantized already.
  network.measure_states({}, pool_);
  network.requantize(quant::quant_preset("w3a0s0"), {}, pool_);
  const std::string rounded = bytes(network);
  refused([&] { network.requantize(quant::quant_preset("w3a8s0"), {}, pool_); });
  refused([&] { network.requantize(quant::quant_preset("w3a0s8"), {}, pool_); });
  EXPECT_EQ(bytes(network), rounded);
  network.requantize(quant::quant_preset("w3a8s8"), batches_, pool_);
  const std::string whole = bytes(network);
  refused([&] { network.measure_states({}, pool_); });
  EXPECT_THAT(network.requantize(quant::quant_preset("w3a8s8"), {}, pool_), testing::IsEmpty());
  EXPECT_EQ(bytes(network), whole);
}

TEST_F(QuantizeNetwork, NeedsHistogramsForRangesThatAreChosenFromThem) {
  Network network = floats();
  const std::string before = bytes(network);
  const Observers plain =
      measure_observers(network.state(), network.state().coefficients(), batches_, pool_);
  for (const auto range : {quant::ActivationRange::kPercentile, quant::ActivationRange::kMse}) {
    for (const auto& [name, site] : {std::pair("residual", &quant::QuantOptions::residual),
                                     std::pair("activation", &quant::QuantOptions::activation)}) {
      quant::QuantOptions format = free_ranges(quant::ActivationRange::kClip);
      (format.*site).range = range;
      EXPECT_THAT([&] { network.quantize(format, plain); },
                  ThrowsMessage<Error>(HasSubstr(std::string("quant.") + name + ".range: '" +
                                                 name_of(range) + "' needs a histogram")));
      EXPECT_EQ(bytes(network), before);
      (format.*site).bits = quant::kFloatBits;
      Network other = network;
      EXPECT_NO_THROW(other.quantize(format, plain));
    }
  }
}

TEST_F(QuantizeNetwork, RefusesANetworkThatOverflows) {
  for (const auto range : {quant::ActivationRange::kClip, quant::ActivationRange::kAbsmax,
                           quant::ActivationRange::kPercentile, quant::ActivationRange::kMse}) {
    Network loud = floats();
    std::ranges::fill(loud.parameters()[loud.state().encoder].value, 3e38f);
    const std::string before = bytes(loud);
    EXPECT_THAT([&] { loud.quantize(free_ranges(range), batches_, pool_); },
                ThrowsMessage<Error>(AllOf(HasSubstr("values of residual"),
                                           HasSubstr("expected smaller inputs or weights"))));
    EXPECT_EQ(bytes(loud), before);
    Observers observers(loud.state());
    observers.input.count = 1;
    observers.residual.high = std::numeric_limits<float>::infinity();
    EXPECT_THAT([&] { loud.quantize(free_ranges(range), observers); },
                ThrowsMessage<Error>(HasSubstr("values of residual are not finite")));
    EXPECT_EQ(bytes(loud), before);
  }
  Network network = quantized(quant::quant_preset("w8a8s8"));
  std::ranges::fill(network.parameters()[network.state().encoder_bias].value, 3e38f);
  const std::string before = bytes(network);
  quant::QuantOptions next = quant::quant_preset("w8a0s0");
  network.requantize(next, batches_, pool_);
  std::vector<data::Batch> infinite = batches_;
  std::ranges::fill(infinite[0].values, std::numeric_limits<float>::infinity());
  const std::string floating = bytes(network);
  EXPECT_THAT([&] { network.requantize(quant::quant_preset("w8a8s8"), infinite, pool_); },
              ThrowsMessage<Error>(HasSubstr("values of input")));
  EXPECT_EQ(bytes(network), floating);
  EXPECT_NE(floating, before);
}

// Steps of states are not trained: they are chosen for the present weights whenever anything about
// the states changes.
TEST_F(QuantizeNetwork, ChoosesStepsAgainWhereStatesAreRoundedInAnotherWay) {
  quant::QuantOptions format = quant::quant_preset("w8a8s8");
  Network network = quantized(format);
  const std::vector<std::vector<float>> before = network.state().state_steps;
  const std::vector<Parameter> parameters = network.parameters();
  data::Dataset quieter = set_;
  for (float& v : quieter.values) v /= 64;
  const std::vector<data::Batch> quiet = {reference::batch_of(quieter)};
  std::vector<quant::QuantOptions> next(2, format);
  next[0].state.rounding = quant::StateRounding::kStochastic;
  next[1].state.residue_bits = 6;
  for (const quant::QuantOptions& other : next) {
    Network changed = network;
    EXPECT_THAT(changed.requantize(other, quiet, pool_), testing::IsEmpty());
    for (std::size_t l = 0; l < before.size(); ++l) {
      EXPECT_NE(changed.state().state_steps[l], before[l]);
    }
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      EXPECT_EQ(changed.parameters()[p].value, parameters[p].value);
    }
    Network measured = network;
    measured.measure_states(quiet, pool_);
    EXPECT_EQ(changed.state().state_steps, measured.state().state_steps);
  }
  Network same = network;
  same.requantize(format, quiet, pool_);
  EXPECT_EQ(same.state().state_steps, before);
}

// What is refused leaves the network as it was, in floating point.
TEST_F(QuantizeNetwork, ChangesNothingWhereItRefuses) {
  Network network = floats();
  const std::string before = bytes(network);
  const Observers observers =
      measure_observers(network.state(), network.state().coefficients(), batches_, pool_);
  quant::QuantOptions bad = quant::quant_preset("w8a8s8");
  bad.state.bits = 1;
  EXPECT_THAT([&] { network.quantize(bad, batches_, pool_); },
              ThrowsMessage<Error>(HasSubstr("quant.state.bits = 1")));
  EXPECT_THAT([&] { network.quantize(bad, observers); },
              ThrowsMessage<Error>(HasSubstr("quant.state.bits = 1")));
  bad = quant::quant_preset("w8a8s8");
  bad.array.digital = "A.2";
  EXPECT_THAT([&] { network.quantize(bad, batches_, pool_); },
              ThrowsMessage<Error>(HasSubstr("the network has 2 blocks")));
  EXPECT_THAT([&] { network.quantize(bad, observers); },
              ThrowsMessage<Error>(HasSubstr("the network has 2 blocks")));
  EXPECT_FALSE(network.quantized());
  EXPECT_EQ(bytes(network), before);
  network.quantize(quant::quant_preset("w8a8s8"), observers);
  EXPECT_THAT([&] { network.quantize(quant::quant_preset("w8a8s8"), observers); },
              ThrowsMessage<Error>(HasSubstr("already")));
}

}  // namespace
}  // namespace crosstate::model
