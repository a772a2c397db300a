#include "crosstate/prune/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"
#include "crosstate/prune/hankel.h"
#include "crosstate/prune/mode_scores.h"

namespace crosstate::prune {
namespace {

const model::TaskShape kTask{2, 4};

model::ModelOptions shape(model::Norm norm = model::Norm::kNone) {
  model::ModelOptions o = model::reference::small_options();
  o.channels = 5;
  o.states = 14;
  o.layers = 2;
  o.norm = norm;
  return o;
}

const data::Dataset& set() {
  static const data::Dataset data = model::reference::random_set(5, 30, 23, kTask, true);
  return data;
}

std::vector<data::Batch> batches() {
  return {model::reference::batch_of(set(), {0, 3, 6, 9, 12}),
          model::reference::batch_of(set(), {1, 4, 28, 29})};
}

double loss_of(const model::Network& network, const data::Batch& batch) {
  ThreadPool pool(1);
  return network.evaluate(batch, pool).loss;
}

TEST(PruneScores, TaylorIsTheSlopeOfTheLossAlongAGate) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  ThreadPool pool(1);
  const std::vector<data::Batch> seen = batches();
  const PartScores scores = score_parts(network, Score::kTaylor, seen, pool);
  const auto expect_slope = [&](double score, const auto& scale) {
    double squares = 0;
    for (const data::Batch& batch : seen) {
      constexpr float kStep = 2e-2f;
      model::Network up = network, down = network;
      scale(up, 1 + kStep);
      scale(down, 1 - kStep);
      const double slope = (loss_of(up, batch) - loss_of(down, batch)) / (2 * kStep);
      squares += slope * slope;
    }
    EXPECT_NEAR(std::sqrt(score), std::sqrt(squares), 1e-4 + 0.02 * std::sqrt(squares));
  };
  const auto scale_values = [](model::Network& n, std::size_t index, std::size_t first,
                               std::size_t count, std::size_t stride, float by) {
    for (std::size_t i = 0; i < count; ++i) n.parameters()[index].value[first + i * stride] *= by;
  };
  const auto& blocks = network.state().blocks;
  expect_slope(scores.blocks[1].modes[17],
               [&](model::Network& n, float by) { scale_values(n, blocks[1].c, 34, 2, 1, by); });
  expect_slope(scores.blocks[0].channels[3], [&](model::Network& n, float by) {
    scale_values(n, blocks[0].weight, 3, 10, 5, by);
  });
  expect_slope(scores.stream[2], [&](model::Network& n, float by) {
    scale_values(n, network.state().decoder, 2, 4, 5, by);
    for (const model::BlockParameters& p : blocks) {
      scale_values(n, p.d, 2, 1, 1, by);
      scale_values(n, p.c, 2 * 14, 14, 1, by);
    }
  });
  EXPECT_THROW(score_parts(network, Score::kTaylor, {}, pool), Error);
}

TEST(PruneScores, MeasuresOfWeightsAreThoseOfTheirModes) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  ThreadPool pool(1);
  const model::Coefficients c = network.state().coefficients();
  const model::BlockShape& block = network.state().shapes[1];
  const PartScores last = score_parts(network, Score::kLast, {}, pool);
  const PartScores energy = score_parts(network, Score::kEnergy, {}, pool);
  const PartScores magnitude = score_parts(network, Score::kMagnitude, {}, pool);
  const PartScores hankel = score_parts(network, Score::kHankel, {}, pool);
  for (std::size_t h = 0; h < block.size(); ++h) {
    const std::vector<model::DiscreteMode> modes = rounded_modes(c.blocks[1], block, h);
    double squares = 0, expected = 0;
    for (std::size_t n = 0; n < modes.size(); ++n) {
      const std::size_t i = block.first[h] + n;
      EXPECT_DOUBLE_EQ(last.blocks[1].modes[i], h_infinity_score(modes[n]));
      EXPECT_DOUBLE_EQ(energy.blocks[1].modes[i], energy_score(modes[n]));
      EXPECT_DOUBLE_EQ(magnitude.blocks[1].modes[i], std::norm(modes[n].c));
      squares += hankel.blocks[1].modes[i];
    }
    for (const double v : hankel_singular_values(modes)) expected += v * v;
    EXPECT_NEAR(squares, expected, 1e-9 * expected);
  }
}

TEST(PruneScores, StepsOfARoundedStateDoNotMatter) {
  model::Network network = model::reference::random_network(shape(), kTask);
  ThreadPool pool(1);
  const PartScores before = score_parts(network, Score::kEnergy, {}, pool);
  quant::QuantOptions state_alone = quant::quant_preset("float");
  state_alone.state.bits = 8;
  const std::vector<data::Batch> seen = batches();
  network.quantize(state_alone, seen, pool);
  const PartScores after = score_parts(network, Score::kEnergy, {}, pool);
  for (std::size_t i = 0; i < before.blocks[0].modes.size(); ++i) {
    EXPECT_NEAR(after.blocks[0].modes[i], before.blocks[0].modes[i],
                1e-5 * before.blocks[0].modes[i]);
  }
}

TEST(PruneSelect, TakesTheLeastAndNoMoreThanToldAlsoOfOddSizes) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  const NetworkSize whole = size_of(network);
  EXPECT_EQ(whole.states, 2u * 5 * 14);
  EXPECT_EQ(whole.stream, 5u);
  EXPECT_EQ(whole.channels, 10u);
  ThreadPool pool(1);
  const PartScores scores = score_parts(network, Score::kEnergy, {}, pool);
  for (const PruneScope scope : {PruneScope::kStream, PruneScope::kBlock}) {
    for (const double states : {0.0, 0.31, 0.6, 0.97}) {
      for (const double channels : {0.0, 0.3, 0.79}) {
        const model::Network small =
            network.part(select_parts(network, scores, {states, channels}, scope, whole));
        const NetworkSize size = size_of(small);
        const double left = scope == PruneScope::kStream ? static_cast<double>(size.stream) / 5
                                                         : static_cast<double>(size.channels) / 10;
        EXPECT_LE(left, 1 - channels + 1e-9);
        EXPECT_GE(left, 1 - channels - (scope == PruneScope::kStream ? 0.2 : 0.1));
        EXPECT_LE(static_cast<double>(size.states), (1 - states) * 140 + 1e-9);
        if (channels == 0) {
          EXPECT_GT(static_cast<double>(size.states), (1 - states) * 140 - 2);
        }
      }
    }
  }
}

TEST(PruneSelect, EveryBlockKeepsItsBestMode) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  PartScores scores;
  scores.stream = {1, 2, 3, 4, 5};
  for (int l = 0; l < 2; ++l) {
    scores.blocks.push_back({std::vector<double>(35), std::vector<double>(5, 1)});
    std::iota(scores.blocks.back().modes.begin(), scores.blocks.back().modes.end(),
              l == 0 ? 0 : 90);
  }
  const model::NetworkParts parts =
      select_parts(network, scores, {0.99, 0.99}, PruneScope::kStream, size_of(network));
  EXPECT_THAT(parts.stream, testing::ElementsAre(4));
  EXPECT_THAT(parts.blocks[0].modes, testing::ElementsAre(34));
  EXPECT_THAT(parts.blocks[1].modes, testing::ElementsAre(34));
}

TEST(PruneSelect, WhereOnlyOneChannelHasModesItStays) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  model::NetworkParts parts = model::NetworkParts::of(network);
  parts.blocks[1].modes = {0};  // channel 0, whose score is the lowest
  const model::Network odd = network.part(parts);
  PartScores scores;
  scores.stream = {0, 2, 3, 4, 5};
  scores.blocks = {{std::vector<double>(35, 1), std::vector<double>(5, 1)},
                   {{1}, std::vector<double>(5, 1)}};
  const model::NetworkParts kept =
      select_parts(odd, scores, {0.9, 0.99}, PruneScope::kStream, size_of(network));
  EXPECT_THAT(kept.stream, testing::ElementsAre(0));
}

class PruneEvery : public testing::TestWithParam<Score> {};

TEST_P(PruneEvery, ScoreLeavesANetworkThatWorksAndCanBeTrained) {
  for (const model::Norm norm : {model::Norm::kNone, model::Norm::kBatch}) {
    for (const bool quantized : {false, true}) {
      for (const bool real : {false, true}) {
        model::ModelOptions model = shape(norm);
        if (real) {
          model.modes = model::ModeKind::kReal;
          model.init = model::PoleStart::kReal;
        }
        model::Network network = model::reference::random_network(model, kTask);
        ThreadPool pool(1);
        const std::vector<data::Batch> seen = batches();
        if (quantized) network.quantize(quant::quant_preset("w8a8s8"), seen, pool);
        PruneOptions options;
        options.score = GetParam();
        model::Network small = prune(network, options, {0.6, 0.3}, size_of(network), seen, pool);
        EXPECT_EQ(small.state().channels(), 3u);
        EXPECT_LE(size_of(small).states, size_of(network).states * 2 / 5);
        EXPECT_EQ(small.quantized(), quantized);
        EXPECT_TRUE(std::isfinite(small.train_step(seen[0], {}, pool).loss));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scores, PruneEvery,
                         testing::Values(Score::kMagnitude, Score::kLast, Score::kEnergy,
                                         Score::kHankel, Score::kTaylor));

TEST(Prune, NothingRemovedIsTheSameNetwork) {
  const model::Network network = model::reference::random_network(shape(), kTask);
  ThreadPool pool(1);
  PruneOptions options;
  const std::vector<data::Batch> seen = batches();
  const model::Network same = prune(network, options, {0, 0}, size_of(network), seen, pool);
  EXPECT_EQ(formats::format_safetensors(same.to_tensors()),
            formats::format_safetensors(network.to_tensors()));
}

// One of several modes with equal poles can replace them all.
TEST(Prune, BalancedTruncationLosesNothingWhereModesRepeat) {
  model::Network network = model::reference::random_network(shape(), kTask);
  const auto& blocks = network.state().blocks;
  for (const model::BlockParameters& p : blocks) {
    for (std::size_t i = 0; i < 35; ++i) {
      // Each channel keeps three of seven modes.
      const std::size_t twin = i - i % 7 + i % 7 % 3;
      network.parameters()[p.log_a].value[i] = network.parameters()[p.log_a].value[twin];
      network.parameters()[p.w].value[i] = network.parameters()[p.w].value[twin];
    }
  }
  ThreadPool pool(1);
  const std::vector<data::Batch> seen = batches();
  PruneOptions options;
  options.score = Score::kHankel;
  const model::Network small = prune(network, options, {0.57, 0}, size_of(network), seen, pool);
  EXPECT_LE(size_of(small).states, 60u);
  EXPECT_NEAR(loss_of(small, seen[0]), loss_of(network, seen[0]), 1e-3);
}

TEST(Prune, ThePenaltyShrinksGroupsAndStopsAtZero) {
  model::Network network = model::reference::random_network(shape(), kTask);
  const model::Network before = network;
  const model::BlockParameters& p = network.state().blocks[0];
  shrink_groups(network, 0.01);
  const std::vector<float>&c = network.parameters()[p.c].value,
        &old = before.parameters()[p.c].value;
  for (std::size_t i = 0; i < 35; ++i) {
    const double norm = std::hypot(c[2 * i], c[2 * i + 1]);
    const double was = std::hypot(old[2 * i], old[2 * i + 1]);
    EXPECT_LT(norm, was);
    EXPECT_NEAR(c[2 * i] * was, old[2 * i] * norm, 1e-5);  // the direction is unchanged
  }
  shrink_groups(network, 1e6);
  for (const float v : network.parameters()[p.c].value) EXPECT_EQ(v, 0);
  for (const float v : network.parameters()[p.weight].value) EXPECT_EQ(v, 0);
}

}  // namespace
}  // namespace crosstate::prune
