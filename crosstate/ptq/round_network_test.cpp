#include "crosstate/ptq/round_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/convert.h"
#include "crosstate/model/testing.h"
#include "crosstate/ptq/judge.h"

namespace crosstate::ptq {
namespace {

using model::ModelOptions;
using model::Network;

ModelOptions options_of(model::ModeKind modes, model::Gate gate) {
  ModelOptions o = model::reference::small_options();
  o.channels = 6;
  o.layers = 2;
  o.states = 6;
  o.modes = modes;
  if (modes == model::ModeKind::kReal) o.init = model::PoleStart::kReal;
  o.gate = gate;
  o.norm = model::Norm::kNone;
  return o;
}

quant::QuantOptions format(const std::string& preset) {
  quant::QuantOptions q;
  q.preset = preset;
  return quant::resolved(q);
}

double plain_error(const Network& network, const std::vector<data::Batch>& batches,
                   const std::string& preset, const Judge& judge, ThreadPool& pool) {
  Network plain = network;
  quant::QuantOptions q = format(preset);
  q.bias_correction = true;
  plain.quantize(q, batches, pool);
  return judge.judge(plain).error;
}

TEST(NetworkRounder, LeavesOutTheNoiseOfAPreset) {
  ThreadPool pool(1);
  const model::TaskShape task{2, 3};
  const Network network = model::reference::random_network(
      options_of(model::ModeKind::kComplex, model::Gate::kSigmoid), task);
  const std::vector<data::Batch> batches = {
      model::reference::batch_of(model::reference::random_set(1, 32, 20, task))};
  quant::QuantOptions q;
  q.preset = "analog-64x64";
  q.state.residue_bits = 4;
  const Network rounded = NetworkRounder(network, batches, pool).round(q);
  EXPECT_EQ(rounded.quant_options().array.noise, 0);
  EXPECT_EQ(rounded.quant_options().weight_noise, 0);
  EXPECT_EQ(rounded.quant_options().array.rows, 64);
  EXPECT_EQ(rounded.quant_options().state.residue_bits, 4);
}

TEST(NetworkRounder, LosesLessThanNearestCodesWithCorrectedBiases) {
  ThreadPool pool(2);
  for (const auto& [modes, gate] : {std::pair{model::ModeKind::kComplex, model::Gate::kSigmoid},
                                    std::pair{model::ModeKind::kReal, model::Gate::kNone}}) {
    for (const bool ragged : {false, true}) {
      const ModelOptions options = options_of(modes, gate);
      const model::TaskShape task{2, 3};
      const data::Dataset set = model::reference::random_set(1, 96, 40, task, ragged);
      const data::Dataset other = model::reference::random_set(2, 64, 40, task, ragged);
      const Network network = model::reference::random_network(options, task);
      const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
      const NetworkRounder rounder(network, batches, pool);
      const Judge judge(inference::Model(network), other, pool);
      double fitted = 0, plain = 0;
      for (const char* preset : {"w3a8s14", "w4a8s14"}) {
        fitted += judge.judge(rounder.round(format(preset))).error;
        plain += plain_error(network, batches, preset, judge, pool);
      }
      EXPECT_LT(fitted, 0.8 * plain) << name_of(modes) << ' ' << ragged;
    }
  }
}

TEST(NetworkRounder, IsTheSameOnAnyNumberOfThreads) {
  const ModelOptions options = options_of(model::ModeKind::kComplex, model::Gate::kSigmoid);
  const model::TaskShape task{1, 3};
  const data::Dataset set = model::reference::random_set(3, 70, 30, task, true);
  const Network network = model::reference::random_network(options, task);
  const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const Network rounded = NetworkRounder(network, batches, pool).round(format("w4a6s14"));
    std::vector<std::vector<float>> values;
    for (const model::Parameter& p : rounded.parameters()) values.push_back(p.value);
    if (threads == 1) first = values;
    EXPECT_EQ(values, first) << threads;
  }
}

// With outputs at every step, the decoder reads the stream instead of its mean.
TEST(NetworkRounder, RoundsNetworksThatAreReadAtEveryStep) {
  ThreadPool pool(2);
  ModelOptions options = options_of(model::ModeKind::kComplex, model::Gate::kSigmoid);
  options.readout = task::Scope::kStep;
  const model::TaskShape task{1, 3};
  data::Dataset set = model::reference::random_set(4, 48, 30, task);
  set.readout.scope = task::Scope::kStep;
  Random random(4, Stream::kTest);
  set.targets.resize(set.count * set.length);
  for (float& target : set.targets) target = static_cast<float>(random.below(3));
  const Network network = model::reference::random_network(options, task);
  const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
  const NetworkRounder rounder(network, batches, pool);
  const Judge judge(inference::Model(network), set, pool);
  EXPECT_LT(judge.judge(rounder.round(format("w4a8s14"))).error,
            0.8 * plain_error(network, batches, "w4a8s14", judge, pool));
}

// Codes of one bit are the nearest ones, whatever range the settings name.
TEST(NetworkRounder, ChoosesTheScalesOfBinaryWeights) {
  ThreadPool pool(1);
  const ModelOptions options = options_of(model::ModeKind::kComplex, model::Gate::kSigmoid);
  const model::TaskShape task{1, 3};
  const Network network = model::reference::random_network(options, task);
  const std::vector<data::Batch> batches = {
      model::reference::batch_of(model::reference::random_set(6, 32, 30, task))};
  const NetworkRounder rounder(network, batches, pool);
  quant::QuantOptions q = format("w8a8s14");
  q.weight.bits = q.c.bits = 1;
  const Network chosen = rounder.round(q);
  q.weight.range = q.c.range = quant::WeightRange::kAbsmax;
  const Network named = rounder.round(q);
  for (std::size_t l = 0; l < chosen.state().blocks.size(); ++l) {
    EXPECT_EQ(chosen.state().coefficients().blocks[l].weight,
              named.state().coefficients().blocks[l].weight);
    EXPECT_EQ(chosen.state().coefficients().blocks[l].cr,
              named.state().coefficients().blocks[l].cr);
  }
}

// A network in a format with single float sites cannot be converted to integers, but can be
// evaluated.
TEST(NetworkRounder, LeavesSitesInFloatingPoint) {
  ThreadPool pool(1);
  const ModelOptions options = options_of(model::ModeKind::kComplex, model::Gate::kSigmoid);
  const model::TaskShape task{1, 3};
  const data::Dataset set = model::reference::random_set(5, 32, 30, task);
  const Network network = model::reference::random_network(options, task);
  const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
  const NetworkRounder rounder(network, batches, pool);
  for (const char* preset : {"float", "w4a0s8", "w0a8s0", "w1a8s8"}) {
    quant::QuantOptions q;
    q.preset = preset;
    std::vector<float> logits;
    rounder.round(q).evaluate(batches[0], pool, &logits);
    for (const float v : logits) ASSERT_TRUE(std::isfinite(v)) << preset;
  }
}

TEST(NetworkRounder, RefusesNetworksThatAreNotReady) {
  ThreadPool pool(1);
  const model::TaskShape task{1, 3};
  const data::Dataset set = model::reference::random_set(6, 16, 20, task);
  const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
  Network normed = model::reference::random_network(model::reference::small_options(), task);
  const auto refused = [&] { NetworkRounder(normed, batches, pool); };
  EXPECT_THAT(refused, testing::ThrowsMessage<Error>(testing::HasSubstr("norm is 'batch'")));
  normed.fold_norms();
  normed.quantize(quant::quant_preset("w8a8s8"), batches, pool);
  EXPECT_THAT(refused, testing::ThrowsMessage<Error>(testing::HasSubstr("already")));
}

TEST(Verdict, TakesChanceIntoAccount) {
  Verdict v{.metric = 0.97, .loss = 0.25, .deviation = 0.1, .error = 0, .resolution = 0.02};
  EXPECT_FALSE(v.meets(0.3));
  EXPECT_TRUE(v.meets(0.36));
  v.loss = -0.2;
  EXPECT_TRUE(v.meets(0.3));
  // In a set of 100 sequences, one sequence exceeds the allowed loss.
  v = {.metric = 0.97, .loss = 0, .deviation = 1, .error = 0, .resolution = 1};
  EXPECT_TRUE(v.meets(0.3));
  v.loss = 1;
  EXPECT_FALSE(v.meets(0.3));
}

TEST(Judge, ComparesWithTheFloatNetwork) {
  ThreadPool pool(2);
  const ModelOptions options = options_of(model::ModeKind::kComplex, model::Gate::kSigmoid);
  const model::TaskShape task{1, 3};
  const data::Dataset set = model::reference::random_set(7, 120, 30, task);
  const Network network = model::reference::random_network(options, task);
  const Judge judge(inference::Model(network), set, pool);
  EXPECT_EQ(judge.sequences(), 120u);
  const std::vector<data::Batch> batches = {model::reference::batch_of(set)};
  double last = 0;
  for (const char* preset : {"w10a10s10", "w6a8s8", "w3a4s6"}) {
    Network rounded = network;
    rounded.quantize(quant::quant_preset(preset), batches, pool);
    const Verdict verdict = judge.judge(rounded);
    EXPECT_GT(verdict.error, last) << preset;
    EXPECT_NEAR(verdict.loss, 100 * (judge.metric() - verdict.metric), 1e-9);
    EXPECT_GE(verdict.deviation, 100.0 / 120);
    EXPECT_DOUBLE_EQ(verdict.resolution, 100.0 / 120);
    last = verdict.error;
  }
}

TEST(Spread, TakesSequencesEvenly) {
  const data::Dataset set = model::reference::random_set(8, 10, 5, {1, 2});
  const data::Dataset some = spread(set, 4);
  ASSERT_EQ(some.count, 4u);
  EXPECT_EQ(some.sequence(1)[0], set.sequence(2)[0]);
  EXPECT_EQ(some.sequence(3)[0], set.sequence(7)[0]);
  EXPECT_EQ(spread(set, 11).count, 10u);
}

}  // namespace
}  // namespace crosstate::ptq
