// A quantized network against the scalar reference that rounds at every site.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/model/network.h"
#include "crosstate/model/pass.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::GradientCheck;
using reference::random_network;
using reference::random_set;
using reference::sequence_of;
using reference::Site;
using reference::small_options;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

void set_scales(quant::QuantOptions& q, quant::ScaleKind scales) {
  for (quant::ActivationSite* site :
       {&q.input, &q.residual, &q.ssm_output, &q.activation, &q.linear, &q.gate}) {
    site->scales = scales;
  }
}

ModelOptions plain_options() {
  ModelOptions o = small_options();
  o.norm = Norm::kNone;
  o.layers = 2;
  return o;
}

Network quantized(Network network, const quant::QuantOptions& options,
                  const data::Batch& calibration) {
  ThreadPool pool(1);
  network.quantize(options, {&calibration, 1}, pool);
  return network;
}

Parameter& parameter(Network& network, const std::string& name) {
  auto& all = network.parameters();
  return *std::find_if(all.begin(), all.end(), [&](const Parameter& p) { return p.name == name; });
}

double largest(const std::vector<float>& values) {
  double peak = 0;
  for (const float v : values) peak = std::max(peak, std::abs(static_cast<double>(v)));
  return peak;
}

// The quantized coefficients in the form of the reference.
reference::NetworkValues<double> values_of(const Network& network, const Coefficients& c) {
  auto v = reference::values_of<double>(network);
  const std::size_t modes = network.state().modes();
  v.encoder = reference::to_matrix<double>(c.encoder, v.encoder.size());
  v.decoder = reference::to_matrix<double>(c.decoder, v.decoder.size());
  v.encoder_bias = reference::to_vector<double>(c.encoder_bias);
  v.decoder_bias = reference::to_vector<double>(c.decoder_bias);
  for (std::size_t l = 0; l < v.blocks.size(); ++l) {
    auto& block = v.blocks[l];
    const BlockCoefficients& from = c.blocks[l];
    block.d = reference::to_vector<double>(from.d);
    block.bias = reference::to_vector<double>(from.bias);
    block.weight = reference::to_matrix<double>(from.weight, block.weight.size());
    for (std::size_t i = 0; i < from.ar.size(); ++i) {
      block.modes[i / modes][i % modes] = {
          {from.ar[i], from.ai[i]}, {from.cr[i], from.ci[i]}, from.b[i]};
    }
  }
  return v;
}

// Every returned value is a multiple of the step of its site.
struct Rounding {
  const Coefficients& c;
  static double on(const Quantizer& q, double x) {
    if (!q.on) return x;
    const double scale = q.scale[0];
    return std::clamp(std::floor(x / scale + 0.5), static_cast<double>(q.low),
                      static_cast<double>(q.high)) *
           scale;
  }
  double operator()(Site site, std::size_t l, double x) const {
    switch (site) {
      case Site::kInput:
        return on(c.input, x);
      case Site::kResidual:
        return on(c.residual, x);
      case Site::kSsmOutput:
        return on(c.quantizers[l].ssm_output, x);
      case Site::kActivation:
        return on(c.quantizers[l].activation, x);
      case Site::kLinear:
        return on(c.quantizers[l].linear, x);
      case Site::kGate:
        return on(c.quantizers[l].gate, x);
      case Site::kState: {
        const double limit = c.rounding.limit;
        return limit > 0 ? std::clamp(std::nearbyint(x + kernels::kScanTie), -limit, limit) : x;
      }
    }
    return x;
  }
};

// --- forward -------------------------------------------------------------------------------------

TEST(QuantizedNetwork, EqualsTheReferenceThatRoundsEverySite) {
  int number = 0;
  for (const Gate gate : {Gate::kSigmoid, Gate::kHardSigmoid, Gate::kNone}) {
    for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
      for (const quant::ScaleKind scales :
           {quant::ScaleKind::kPowerOfTwo, quant::ScaleKind::kFree}) {
        ModelOptions o = plain_options();
        o.gate = gate;
        o.norm = norm;
        o.activation =
            number % 2 == 0 ? kernels::Activation::kHardGelu : kernels::Activation::kGelu;
        o.modes = number % 3 == 0 ? ModeKind::kReal : ModeKind::kComplex;
        o.init = number % 3 == 0 ? PoleStart::kReal : PoleStart::kLin;
        quant::QuantOptions q = quant::uniform_bits(number % 4 == 1 ? 5 : 8);
        set_scales(q, scales);
        q.a.coding = number % 5 == 0   ? quant::PoleCoding::kCartesian
                     : number % 5 == 2 ? quant::PoleCoding::kIncrement
                                       : quant::PoleCoding::kLogPolar;
        q.weight.granularity = q.c.granularity =
            number % 2 == 0 ? quant::Granularity::kChannel : quant::Granularity::kTensor;
        SCOPED_TRACE(name_of(gate) + " " + name_of(norm) + " " + name_of(scales) + " " +
                     name_of(o.modes));
        const data::Dataset set =
            random_set(static_cast<std::uint64_t>(++number), 35, 15, kTask, true);
        Network network = quantized(random_network(o, kTask), q, batch_of(set));
        const Coefficients c = network.state().coefficients();
        const auto values = values_of(network, c);
        const std::vector<float> got = logits_of(network, batch_of(set));
        const double peak = std::max(1.0, largest(got));
        std::size_t equal = 0;
        for (std::size_t i = 0; i < set.count; ++i) {
          const auto wanted = reference::logits(values, sequence_of(set, i),
                                                reference::Form::kRecurrence, Rounding{c});
          double error = 0;
          for (std::size_t k = 0; k < 4; ++k) {
            error = std::max(error, std::abs(got[i * 4 + k] - wanted[k]));
          }
          equal += error <= 1e-5 * peak;
          EXPECT_LE(error, 0.1 * peak) << "sequence " << i;
        }
        // Float32 and double may occasionally round a near-tie in different directions.
        EXPECT_GE(equal, set.count - 5);
      }
    }
  }
}

TEST(QuantizedNetwork, TheResidualStreamLiesOnItsGrid) {
  for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
    ModelOptions o = plain_options();
    o.norm = norm;
    o.channels = 4;
    o.pooling = Pooling::kLast;
    Network network = random_network(o, kTask);
    // The logits are the last residual values themselves.
    for (std::size_t i = 0; i < 16; ++i) {
      parameter(network, "decoder.weight").value[i] = i % 5 == 0 ? 1 : 0;
    }
    parameter(network, "decoder.bias").value.assign(4, 0);
    const data::Batch batch = batch_of(random_set(1, 40, 23, kTask, true));
    quant::QuantOptions q = quant::uniform_bits(8);
    q.encoder.bits = q.weight.bits = q.decoder.bits = 0;
    network = quantized(network, q, batch);
    const double scale = network.state().coefficients().residual.scale[0];
    EXPECT_EQ(scale, std::exp2(std::nearbyint(std::log2(scale))));
    const std::vector<float> values = logits_of(network, batch);
    std::set<double> codes;
    for (const float v : values) {
      EXPECT_EQ(v / scale, std::nearbyint(v / scale));
      EXPECT_LE(std::abs(v / scale), 127);
      codes.insert(v / scale);
    }
    EXPECT_GT(codes.size(), 20u);
  }
}

TEST(QuantizedNetwork, CoefficientsLieOnTheirGrids) {
  ModelOptions o = plain_options();
  o.channels = 17;
  const data::Batch batch = batch_of(random_set(1, 19, 23, kTask));
  const Network network = quantized(random_network(o, kTask), quant::uniform_bits(4), batch);
  const Coefficients c = network.state().coefficients();
  for (std::size_t l = 0; l < 2; ++l) {
    for (std::size_t r = 0; r < 34; ++r) {
      const auto row = c.blocks[l].weight.begin() + static_cast<std::ptrdiff_t>(r * 17);
      EXPECT_LE(std::set<float>(row, row + 17).size(), 15u);
    }
    EXPECT_LE(std::set<float>(c.blocks[l].d.begin(), c.blocks[l].d.end()).size(), 15u);
    for (std::size_t i = 0; i < c.blocks[l].ar.size(); ++i) {
      EXPECT_LT(std::hypot(c.blocks[l].ar[i], c.blocks[l].ai[i]), 1);
      const float b = c.blocks[l].b[i];
      EXPECT_EQ(b, std::exp2(std::nearbyint(std::log2(b))));
    }
    for (const Quantizer* q : {&c.quantizers[l].ssm_output, &c.quantizers[l].activation,
                               &c.quantizers[l].linear, &c.quantizers[l].gate}) {
      EXPECT_TRUE(q->on);
      EXPECT_EQ(q->scale[0], std::exp2(std::nearbyint(std::log2(q->scale[0]))));
    }
  }
}

TEST(QuantizedNetwork, StatesAreWholeNumbersThatSaturate) {
  const data::Dataset set = random_set(1, 19, 23, kTask);
  data::Dataset loud = set;
  for (float& v : loud.values) v *= 100;
  quant::QuantOptions q = quant::uniform_bits(0);
  q.state.bits = 8;
  const data::Batch batch = batch_of(set), louder = batch_of(loud);
  Network network = quantized(random_network(plain_options(), kTask), q, batch);
  ThreadPool pool(1);
  const Coefficients c = network.state().coefficients();
  const Observers usual = measure_observers(network.state(), c, {&batch, 1}, pool);
  const Observers saturated = measure_observers(network.state(), c, {&louder, 1}, pool);
  for (std::size_t l = 0; l < 2; ++l) {
    for (const float x : usual.blocks[l].state) {
      EXPECT_EQ(x, std::nearbyint(x));
      EXPECT_LE(x, 127);
      EXPECT_GE(x, 50);  // the step is at most twice as coarse as it has to be
    }
    for (const float x : saturated.blocks[l].state) EXPECT_EQ(x, 127);
  }
}

TEST(QuantizedNetwork, ComesCloseToTheFloatNetworkWithManyBits) {
  const data::Batch batch = batch_of(random_set(1, 40, 23, kTask, true));
  for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
    ModelOptions o = plain_options();
    o.norm = norm;
    Network network = random_network(o, kTask);
    const std::vector<float> wanted = logits_of(network, batch);

    Network none = quantized(network, quant::uniform_bits(0), batch);
    EXPECT_EQ(logits_of(none, batch), wanted);

    quant::QuantOptions q = quant::uniform_bits(16);
    q.a.bits = 0;  // the fixed-point format has at most 14 bits for the parts of a pole
    set_scales(q, quant::ScaleKind::kFree);
    Network fine = quantized(network, q, batch);
    const std::vector<float> got = logits_of(fine, batch);
    EXPECT_NE(got, wanted);
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], 5e-4 * largest(wanted));
    }
  }
}

TEST(QuantizedNetwork, LogitsDependNeitherOnTheOtherSequencesNorOnThreads) {
  const data::Dataset set = random_set(1, 40, 23, kTask, true);
  Network network =
      quantized(random_network(plain_options(), kTask), quant::uniform_bits(8), batch_of(set));
  const std::vector<float> all = logits_of(network, batch_of(set));
  for (const int threads : {2, 4}) EXPECT_EQ(logits_of(network, batch_of(set), threads), all);
  EXPECT_EQ(logits_of(network, batch_of(set, 5)), all);
  const std::vector<std::uint32_t> rows{39, 0, 7};
  const std::vector<float> some = logits_of(network, batch_of(set, rows));
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(some[i], all[rows[i / 4] * 4 + i % 4]);
}

// --- ranges --------------------------------------------------------------------------------------

TEST(QuantizedNetwork, RangesDependOnSequencesAndNotOnTheirPadding) {
  const data::Dataset tight = random_set(1, 16, 9, kTask);
  data::Dataset padded = tight;  // three times as long, and half a group more
  padded.length = 27;
  padded.values.assign(16 * 27 * 2, 0);
  padded.lengths.assign(16, 9);
  for (std::size_t i = 0; i < 16; ++i) {
    std::copy_n(&tight.values[i * 18], 18, &padded.values[i * 54]);
  }
  std::vector<std::uint32_t> rows(17);
  for (std::uint32_t i = 0; i < 17; ++i) rows[i] = i % 16;
  const Network network = random_network(plain_options(), kTask);
  const Network a = quantized(network, quant::uniform_bits(8), batch_of(tight));
  const Network b = quantized(network, quant::uniform_bits(8), batch_of(padded, rows));
  EXPECT_EQ(a.state().state_steps, b.state().state_steps);
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    // The seventeenth sequence repeats the first, which changes a root mean square slightly.
    if (a.parameters()[i].group != ParameterGroup::kRange) continue;
    EXPECT_NEAR(a.parameters()[i].value[0], b.parameters()[i].value[0], 2e-2)
        << a.parameters()[i].name;
  }
}

TEST(QuantizedNetwork, RangesReachTheLargestValue) {
  ModelOptions o = plain_options();
  o.norm = Norm::kLayer;
  const data::Dataset set = random_set(1, 19, 23, kTask);
  const data::Batch batch = batch_of(set);
  quant::QuantOptions q = quant::uniform_bits(8);
  set_scales(q, quant::ScaleKind::kFree);
  Network network = quantized(random_network(o, kTask), q, batch);
  EXPECT_NEAR(std::exp(parameter(network, "range.input").value[0]) * 127, largest(set.values),
              1e-4);
  for (const Parameter& p : network.parameters()) {
    EXPECT_EQ(p.group == ParameterGroup::kRange, p.name.starts_with("range.")) << p.name;
  }
  EXPECT_EQ(network.parameter_count(), Network(o, kTask, 1).parameter_count());
}

TEST(QuantizedNetwork, RefusesWhatItCannotRound) {
  ModelOptions o = plain_options();
  o.norm = Norm::kBatch;
  const data::Batch batch = batch_of(random_set(1, 19, 23, kTask));
  ThreadPool pool(1);
  Network network(o, kTask, 1);
  quant::QuantOptions per_tensor;
  per_tensor.granularity = quant::Granularity::kTensor;
  EXPECT_THAT(
      [&] {
        network.quantize(per_tensor, {&batch, 1}, pool);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("model.norm"), HasSubstr("fold"))));
  EXPECT_FALSE(network.quantized());
  network.fold_norms();
  EXPECT_THAT(
      [&] {
        quant::QuantOptions one;
        one.state.bits = 1;
        network.quantize(one, {&batch, 1}, pool);
      },
      ThrowsMessage<Error>(HasSubstr("= 1, expected 0")));
  network.quantize({}, {&batch, 1}, pool);
  EXPECT_TRUE(network.quantized());
  EXPECT_THAT(
      [&] {
        network.quantize({}, {&batch, 1}, pool);
      },
      ThrowsMessage<Error>(HasSubstr("already")));
  const data::Batch narrow = batch_of(random_set(1, 19, 23, {1, 4}));
  for (const auto& use : std::vector<std::function<void()>>{
           [&] { network.evaluate(narrow, pool); }, [&] { network.train_step(narrow, {}, pool); },
           [&] {
             Network(plain_options(), kTask, 1).quantize({}, {&narrow, 1}, pool);
           }}) {
    EXPECT_THAT(use, ThrowsMessage<Error>(HasSubstr("1 channels, but the network has 2 inputs")));
  }
}

TEST(QuantizedNetwork, FoldsAfterTrainingWithoutATrace) {
  ModelOptions o = plain_options();
  o.norm = Norm::kBatch;
  const data::Batch batch = batch_of(random_set(1, 40, 23, kTask));
  ThreadPool pool(1);
  Network network(o, kTask, 1);
  network.quantize({}, {&batch, 1}, pool);
  for (std::uint64_t step = 0; step < 20; ++step) network.train_step(batch, {0, 1, step}, pool);
  Network folded = network;
  folded.fold_norms();
  EXPECT_EQ(folded.options().norm, Norm::kNone);
  EXPECT_TRUE(folded.quantized());
  std::vector<float> before, after;
  network.evaluate(batch, pool, &before);
  folded.evaluate(batch, pool, &after);
  // A value next to a rounding tie may change by one step; most do not.
  std::size_t close = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(before[i], after[i], 0.1);
    close += std::abs(before[i] - after[i]) < 1e-4 ? 1 : 0;
  }
  EXPECT_GT(close, before.size() * 9 / 10);
}

// --- gradients -----------------------------------------------------------------------------------

// At 16 bits rounding is fine enough for finite differences, and the straight-through gradient is
// the whole gradient. The range of one quantizer at a time is reduced to a third, so that it clips;
// the others never clip in any of the differences.
TEST(QuantizedNetwork, GradientsEqualDifferencesOfTheLossWithManyBits) {
  const std::vector<std::string> ranges{
      "nothing",
      "range.input",
      "range.residual",
      "range.layers.0.ssm_output",
      "range.layers.0.activation",
      "range.layers.0.linear",
      "range.layers.1.ssm_output",
      "range.layers.1.activation",
      "range.layers.1.linear",
  };
  for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
    for (const std::string& clipped : ranges) {
      ModelOptions o = plain_options();
      o.norm = norm;
      o.train_b = true;
      quant::QuantOptions q = quant::uniform_bits(16);
      set_scales(q, quant::ScaleKind::kFree);
      const data::Batch batch = batch_of(random_set(2, 35, 15, kTask, true));
      Network network = quantized(random_network(o, kTask), q, batch);
      GradientCheck check;
      check.steps = {5e-2, 1e-2};
      check.tolerance = 6e-2;
      check.noise = 2e-5;
      check.smallest = 1e-4;  // few values clip after a layer norm
      check.zero = {"log_a", "w", "log_dt", "B", "C", "D"};
      for (Parameter& p : network.parameters()) {
        if (p.group != ParameterGroup::kRange) continue;
        p.value[0] += p.name == clipped ? -1.1f : 0.3f;
        if (p.name != clipped) check.zero.push_back(p.name);
      }
      SCOPED_TRACE(name_of(norm) + ", clipped: " + clipped);
      ThreadPool pool(1);
      check.run(network, batch, {0.1, 3, 4}, pool);
    }
  }
}

// The same for arrays, whose noise is in units of codes: whatever the value of a code of the
// recurrence's input, loss and gradients are those of the weights.
TEST(QuantizedNetwork, GradientsEqualDifferencesOfTheLossOnArrays) {
  for (const quant::NoiseRecurrence recurrence :
       {quant::NoiseRecurrence::kIncrement, quant::NoiseRecurrence::kDirect}) {
    for (const float shift : {0.3f, -0.8f, 2.5f}) {
      ModelOptions o = plain_options();
      o.train_b = true;
      quant::QuantOptions q = quant::uniform_bits(16);
      set_scales(q, quant::ScaleKind::kFree);
      q.noise_unit = quant::NoiseUnit::kLargest;
      q.noise_recurrence = recurrence;
      q.weight_noise = q.device_noise = 1e-3;
      q.array = {.rows = 2, .columns = 3, .partial_bits = 16, .state_bits = 16, .noise = 1};
      const data::Batch batch = batch_of(random_set(2, 35, 15, kTask, true));
      Network network = quantized(random_network(o, kTask), q, batch);
      GradientCheck check;
      check.steps = {5e-2, 1e-2};
      check.tolerance = 6e-2;
      check.noise = 5e-5;
      check.smallest = 1e-4;
      for (Parameter& p : network.parameters()) {
        if (p.group != ParameterGroup::kRange) continue;
        const bool cut = shift < 0 && p.name == "range.residual";
        p.value[0] += p.name == "range.residual" ? shift : 0.3f;
        if (!cut) check.zero.push_back(p.name);
      }
      SCOPED_TRACE(name_of(recurrence) + ", range of the residual stream moved by " +
                   std::to_string(shift));
      EXPECT_GT(std::abs(std::log2(network.state().coefficients().residual.scale[0])), 3);
      ThreadPool pool(1);
      check.run(network, batch, {0.1, 3, 4}, pool);
    }
  }
}

// Single values that start or stop clipping disturb a difference, so many sequences are averaged,
// and several networks share one bound.
TEST(QuantizedNetwork, RangeGradientsEqualDifferencesWhereMuchIsClipped) {
  constexpr float kStep = 0.003f;
  ThreadPool pool(1);
  for (const Norm norm : {Norm::kNone, Norm::kLayer}) {
    ModelOptions o = plain_options();
    o.norm = norm;
    o.activation = kernels::Activation::kIdentity;  // the others hide values clipped below zero
    quant::QuantOptions q = quant::uniform_bits(0);
    for (quant::ActivationSite* site :
         {&q.input, &q.residual, &q.ssm_output, &q.activation, &q.linear, &q.gate}) {
      site->bits = 16;
    }
    set_scales(q, quant::ScaleKind::kFree);
    for (const char* name :
         {"range.input", "range.residual", "range.layers.0.ssm_output", "range.layers.0.activation",
          "range.layers.0.linear", "range.layers.1.ssm_output", "range.layers.1.activation",
          "range.layers.1.linear"}) {
      double error = 0, size = 0;
      for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        const data::Batch batch = batch_of(random_set(seed, 240, 15, kTask, true));
        Network network = quantized(random_network(o, kTask, seed), q, batch);
        Parameter& range = parameter(network, name);
        range.value[0] -= 1.5f;
        const float value = range.value[0];
        const auto loss_at = [&](float at) {
          range.value[0] = at;
          return network.train_step(batch, {}, pool).loss;
        };
        const double difference = (loss_at(value + kStep) - loss_at(value - kStep)) / (2 * kStep);
        loss_at(value);
        error += std::pow(range.gradient[0] - difference, 2);
        size += difference * difference;
      }
      EXPECT_LT(std::sqrt(error), 0.1 * std::sqrt(size)) << name << ", norm " << name_of(norm);
    }
  }
}

TEST(QuantizedNetwork, GradientsAreFiniteAndOfEveryParameterWithFewBits) {
  for (const int bits : {2, 4, 8}) {
    const data::Batch batch = batch_of(random_set(2, 40, 23, kTask, true));
    quant::QuantOptions q = quant::uniform_bits(bits);
    q.state.bits = std::max(bits, 4);  // a ternary state of a random network stays at zero
    Network network = quantized(random_network(plain_options(), kTask), q, batch);
    std::vector<std::vector<double>> one;
    for (const int threads : {1, 2, 4}) {
      ThreadPool pool(threads);
      network.train_step(batch, {0, 3, 4}, pool);
      std::vector<std::vector<double>> all;
      for (const Parameter& p : network.parameters()) {
        double size = 0;
        for (const double g : p.gradient) size += std::abs(g);
        EXPECT_TRUE(std::isfinite(size)) << p.name;
        EXPECT_GT(size, 0) << p.name << " with " << bits << " bits";
        all.push_back(p.gradient);
      }
      if (threads == 1) one = all;
      EXPECT_EQ(all, one) << threads;
    }
  }
}

TEST(QuantizedNetwork, WeightNoiseIsDrawnPerStepAndOnlyInTraining) {
  const data::Batch batch = batch_of(random_set(2, 40, 23, kTask));
  quant::QuantOptions q = quant::uniform_bits(8);
  Network quiet = quantized(random_network(plain_options(), kTask), q, batch);
  q.weight_noise = 0.1;
  Network noisy = quantized(random_network(plain_options(), kTask), q, batch);
  EXPECT_EQ(logits_of(noisy, batch), logits_of(quiet, batch));
  ThreadPool pool(1);
  const auto loss = [&](Network& n, std::uint64_t step) {
    return n.train_step(batch, {0, 1, step}, pool).loss;
  };
  EXPECT_EQ(loss(noisy, 1), loss(noisy, 1));
  EXPECT_NE(loss(noisy, 1), loss(noisy, 2));
  EXPECT_EQ(loss(quiet, 1), loss(quiet, 2));
  EXPECT_NEAR(loss(noisy, 1), loss(quiet, 1), 0.2);
}

TEST(QuantizedNetwork, DeviceNoiseStaysForTheStepsOfAChip) {
  const data::Batch batch = batch_of(random_set(2, 40, 23, kTask));
  quant::QuantOptions q = quant::uniform_bits(8);
  q.device_noise = 0.1;
  q.chip_steps = 3;
  Network chips = quantized(random_network(plain_options(), kTask), q, batch);
  q.chip_steps = 0;
  Network chip = quantized(random_network(plain_options(), kTask), q, batch);
  ThreadPool pool(1);
  const auto loss = [&](Network& n, std::uint64_t step) {
    return n.train_step(batch, {0, 1, step}, pool).loss;
  };
  EXPECT_EQ(loss(chips, 0), loss(chips, 2));
  EXPECT_NE(loss(chips, 2), loss(chips, 3));
  EXPECT_EQ(loss(chip, 0), loss(chip, 1000));
  EXPECT_EQ(loss(chips, 0), loss(chip, 0));
}

TEST(QuantizedNetwork, NoiseHasThePublishedDeviationAndUnit) {
  const data::Batch batch = batch_of(random_set(2, 40, 23, kTask));
  ModelOptions options = plain_options();
  options.channels = 40;
  for (const quant::NoiseUnit unit : {quant::NoiseUnit::kWeight, quant::NoiseUnit::kLargest}) {
    quant::QuantOptions q = quant::uniform_bits(8);
    q.weight.bits = 2;
    q.weight.granularity = quant::Granularity::kTensor;
    q.weight_noise = 0.03;
    q.device_noise = 0.04;
    q.noise_unit = unit;
    const Network network = quantized(random_network(options, kTask), q, batch);
    const TrainingStep step{1, 5};
    const AlignedFloats quiet = network.state().coefficients().blocks[0].weight;
    const AlignedFloats noisy = network.state().coefficients(&step).blocks[0].weight;
    double squares = 0, count = 0;
    for (std::size_t i = 0; i < quiet.size(); ++i) {
      const auto row = quiet.begin() + static_cast<std::ptrdiff_t>(i / 40 * 40);
      const float scale = std::abs(*std::max_element(
          row, row + 40, [](float a, float b) { return std::abs(a) < std::abs(b); }));
      if (scale == 0) continue;
      const double deviation = (noisy[i] - quiet[i]) / scale;
      if (quiet[i] == 0 && q.noise_unit == quant::NoiseUnit::kWeight) {
        EXPECT_EQ(deviation, 0);
        continue;
      }
      squares += deviation * deviation;
      ++count;
    }
    ASSERT_GT(count, 500);
    EXPECT_NEAR(std::sqrt(squares / count), 0.05, 0.005) << name_of(unit);  // both parts together
  }
}

TEST(QuantizedNetwork, NoiseOnPolesIsThatOfTheirCells) {
  const data::Batch batch = batch_of(random_set(2, 40, 23, kTask));
  ModelOptions options = plain_options();
  options.channels = 60;
  options.dt_min = 0.05;
  options.dt_max = 0.5;
  quant::QuantOptions q = quant::uniform_bits(8);
  q.device_noise = 0.04;
  q.noise_unit = quant::NoiseUnit::kLargest;
  const Network network = quantized(random_network(options, kTask), q, batch);
  const TrainingStep step{1, 5};
  const Coefficients all = network.state().coefficients();
  const BlockCoefficients& quiet = all.blocks[0];
  const float input = all.residual.scale[0];
  EXPECT_GT(std::abs(std::log2(input)), 3);  // codes are not real numbers
  const BlockCoefficients noisy = network.state().coefficients(&step).blocks[0];
  EXPECT_EQ(noisy.d, quiet.d);  // digital
  double squares = 0;
  std::size_t count = 0, inside = 0;
  for (std::size_t i = 0; i < quiet.ar.size(); ++i) {
    EXPECT_LE(std::hypot(noisy.ar[i], noisy.ai[i]), 1 + 1e-6f);
    if (std::hypot(noisy.ar[i], noisy.ai[i]) > 0.999f) continue;  // may have been limited
    // The larger of the cells of the pole and of the input determines the size of an error.
    const float pole = std::max(std::abs(quiet.ar[i] - 1), std::abs(quiet.ai[i]));
    // In codes of the state per code of the input.
    const float gain = std::abs(quiet.b[i]) * input;
    const auto level = [](float ratio) {
      return std::exp2(std::max(std::round(std::log2(std::min(1.0f, ratio))), -6.0f));
    };
    // B is only on the bit line of the real part, whose unit differs from that of the imaginary
    // part.
    const float of_pole = level(pole / gain), of_gain = level(gain / pole);
    const float of_real = std::max(pole / of_pole, gain / of_gain) * of_pole;
    const float unit = std::hypot(of_real, pole) / std::sqrt(2.0f);
    const float re = (noisy.ar[i] - quiet.ar[i]) / unit, im = (noisy.ai[i] - quiet.ai[i]) / unit;
    squares += re * re + im * im;
    count += 2;
    inside += 1;
  }
  ASSERT_GT(inside, 50u);
  // Errors that would leave the circle are missing here.
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.04 / std::sqrt(2), 0.008);
}

TEST(QuantizedNetwork, StochasticRoundingIsDrawnPerStepAndOnlyInTraining) {
  const data::Batch batch = batch_of(random_set(2, 40, 23, kTask));
  quant::QuantOptions q = quant::uniform_bits(5);
  q.state.rounding = quant::StateRounding::kStochastic;
  Network network = quantized(random_network(plain_options(), kTask), q, batch);
  EXPECT_EQ(logits_of(network, batch), logits_of(network, batch));
  ThreadPool pool(1);
  const auto loss = [&](std::uint64_t seed, std::uint64_t step) {
    return network.train_step(batch, {0, seed, step}, pool).loss;
  };
  EXPECT_EQ(loss(1, 1), loss(1, 1));
  EXPECT_NE(loss(1, 1), loss(1, 2));
  EXPECT_NE(loss(1, 1), loss(2, 1));

  // Equal sequences of one batch have different draws for rounding, but only in training.
  const data::Dataset set = random_set(2, 1, 23, kTask);
  const data::Batch twins = batch_of(set, {0, 0});
  const std::vector<float> logits = logits_of(network, twins);
  const auto half = static_cast<std::ptrdiff_t>(logits.size() / 2);
  EXPECT_TRUE(std::equal(logits.begin(), logits.begin() + half, logits.begin() + half));
  const double both = network.train_step(twins, {0, 1, 1}, pool).loss;
  const data::Batch one = batch_of(set);
  EXPECT_NE(both, network.train_step(one, {0, 1, 1}, pool).loss);
}

TEST(QuantizedNetwork, IsTheSameHoweverTimeAndWorkAreCut) {
  const auto site = [](quant::StateRounding rounding, int residue_bits,
                       quant::ResidueRule rule = quant::ResidueRule::kUniform) {
    return quant::StateSite{.residue_bits = residue_bits, .residue = rule, .rounding = rounding};
  };
  for (const quant::StateSite& state :
       {site(quant::StateRounding::kNearest, 0), site(quant::StateRounding::kStochastic, 0),
        site(quant::StateRounding::kNearest, 5),
        site(quant::StateRounding::kNearest, 14, quant::ResidueRule::kByPole)}) {
    SCOPED_TRACE(testing::Message()
                 << name_of(state.rounding) << ", residue " << state.residue_bits);
    const data::Dataset set = random_set(2, 40, 23, kTask, true);
    quant::QuantOptions q = quant::uniform_bits(6);
    q.state = state;
    q.state.bits = 6;
    Network network = quantized(random_network(plain_options(), kTask), q, batch_of(set));
    const std::vector<float> whole = logits_of(network, batch_of(set, 23));
    std::vector<double> losses;
    std::vector<std::vector<double>> gradients;
    for (const std::size_t block_length : {1, 4, 7, 23}) {
      const data::Batch batch = batch_of(set, block_length);
      EXPECT_EQ(logits_of(network, batch), whole) << block_length;
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        losses.push_back(network.train_step(batch, {0, 1, 5}, pool).loss);
        EXPECT_EQ(losses.back(), losses.front()) << block_length;
        std::vector<double> all;
        for (const Parameter& p : network.parameters()) {
          all.insert(all.end(), p.gradient.begin(), p.gradient.end());
        }
        gradients.push_back(std::move(all));
      }
    }
    // The division into blocks also divides sums over time, so they agree only up to rounding.
    double largest = 0;
    for (const double g : gradients[0]) largest = std::max(largest, std::abs(g));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      EXPECT_EQ(gradients[i], gradients[i - i % 2]) << "threads";
      for (std::size_t k = 0; k < gradients[i].size(); ++k) {
        ASSERT_NEAR(gradients[i][k], gradients[0][k], 1e-4 * largest) << i;
      }
    }
  }
}

// --- storing -------------------------------------------------------------------------------------

// Plain gradient descent on the rounded network, whose poles are multiplied as few bits.
TEST(QuantizedNetwork, LearnsWithIncrementsOfFewBits) {
  const data::Batch batch = batch_of(random_set(1, 48, 23, kTask));
  quant::QuantOptions q = quant::uniform_bits(8);
  q.a = {4, quant::PoleCoding::kIncrement};
  q.state.residue_bits = 6;
  Network network = quantized(random_network(plain_options(), kTask), q, batch);
  ThreadPool pool(1);
  const auto codes = [&] {
    const Coefficients c = network.state().coefficients();
    std::vector<std::int16_t> all;
    for (const BlockCoefficients& b : c.blocks) {
      all.insert(all.end(), b.codes.ar.begin(), b.codes.ar.end());
      all.insert(all.end(), b.codes.ai.begin(), b.codes.ai.end());
    }
    return all;
  };
  const std::vector<std::int16_t> before = codes();
  double first = 0, last = 0;
  for (std::uint64_t step = 0; step < 60; ++step) {
    last = network.train_step(batch, {0, 1, step}, pool).loss;
    if (step == 0) first = last;
    for (Parameter& p : network.parameters()) {
      for (std::size_t i = 0; i < p.value.size(); ++i) {
        p.value[i] -= 0.1f * static_cast<float>(p.gradient[i]);
      }
    }
  }
  EXPECT_LT(last, 0.95 * first);
  EXPECT_NE(codes(), before);
}

// Files from before residues had bits.
TEST(QuantizedNetwork, LoadsErrorFeedbackAsResidue) {
  const data::Batch batch = batch_of(random_set(1, 19, 23, kTask, true));
  quant::QuantOptions q = quant::uniform_bits(4);
  q.state.residue_bits = 14;
  Network network = quantized(random_network(plain_options(), kTask), q, batch);
  formats::Safetensors content = network.to_tensors();
  nlohmann::json settings = parse_json(content.metadata.at("network"));
  nlohmann::json& state = settings.at("quant").at("state");
  state = {{"bits", state.at("bits")}, {"rounding", "feedback"}};
  content.metadata.at("network") = exact_json_text(settings);
  Network back = Network::from_tensors(content, "memory");
  EXPECT_EQ(back.quant_options().state, network.quant_options().state);
  EXPECT_EQ(logits_of(back, batch), logits_of(network, batch));
}

TEST(QuantizedNetwork, ComesBackFromTensorsWithTheSameBits) {
  const data::Batch batch = batch_of(random_set(1, 19, 23, kTask, true));
  quant::QuantOptions q = quant::uniform_bits(6);
  q.granularity = quant::Granularity::kTensor;
  Network network = quantized(random_network(plain_options(), kTask), q, batch);
  const formats::Safetensors content = network.to_tensors();
  const std::string bytes = formats::format_safetensors(content);
  Network back = Network::from_tensors(formats::parse_safetensors(bytes, "memory"), "memory");
  EXPECT_TRUE(back.quantized());
  EXPECT_EQ(back.quant_options().granularity, quant::Granularity::kTensor);
  EXPECT_EQ(logits_of(back, batch), logits_of(network, batch));
  EXPECT_EQ(formats::format_safetensors(back.to_tensors()), bytes);

  for (const char* name : {"range.input", "range.layers.1.linear", "layers.0.state_step"}) {
    formats::Safetensors bad = content;
    bad.tensors.erase(name);
    EXPECT_THAT([&] { Network::from_tensors(bad, "a.safetensors"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("a.safetensors"), HasSubstr(name))));
  }
  formats::Safetensors bad = content;
  formats::Tensor& step = bad.tensors.at("layers.0.state_step");
  step = formats::Tensor::from(std::vector<float>(6, 0), step.shape);
  EXPECT_THAT([&] { Network::from_tensors(bad, "a.safetensors"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("state_step"), HasSubstr("positive"))));
}

}  // namespace
}  // namespace crosstate::model
