// Padding has no effect: a longer batch gives the same logits, gradients, statistics and ranges,
// and the same scores on a chip.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "crosstate/integer/convert.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/model/testing.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {
namespace {

using model::reference::batch_of;
using model::reference::random_network;
using model::reference::random_set;
using model::reference::small_options;

const model::TaskShape kTask{2, 4};
constexpr std::size_t kLength = 23;
constexpr double kRounding = 2e-6;  // of sums divided differently, relative to the largest gradient

// The same sequences with `more` steps of padding after the longest; the division into blocks of 7
// then changes, and some blocks contain only padding.
data::Batch padded(const data::Batch& batch, std::size_t more) {
  data::Batch result = batch;
  result.length += more;
  result.values.assign(result.groups * result.group_size(), 0);
  for (std::size_t g = 0; g < batch.groups; ++g) {
    for (std::size_t c = 0; c < batch.channels; ++c) {
      for (std::size_t t = 0; t < batch.length; ++t) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          result.values[g * result.group_size() + result.offset(c, t, lane)] =
              batch.group(g)[batch.offset(c, t, lane)];
        }
      }
    }
  }
  return result;
}

template <class Body>
void for_each_kind(Body body) {
  for (const model::Norm norm : {model::Norm::kBatch, model::Norm::kLayer, model::Norm::kNone}) {
    for (const model::Pooling pooling : {model::Pooling::kMean, model::Pooling::kLast}) {
      for (const model::Gate gate : {model::Gate::kSigmoid, model::Gate::kNone}) {
        for (const bool quantized : {false, true}) {
          model::ModelOptions o = model::reference::small_options();
          o.norm = norm;
          o.pooling = pooling;
          o.gate = gate;
          o.layers = 2;
          o.dropout = 0.2;
          SCOPED_TRACE(name_of(norm) + ' ' + name_of(pooling) + ' ' + name_of(gate) +
                       (quantized ? " quantized" : ""));
          model::Network network = model::reference::random_network(o, kTask);
          if (quantized) {
            ThreadPool pool(1);
            const data::Batch calibration = model::reference::batch_of(
                model::reference::random_set(9, 32, kLength, kTask, true));
            network.quantize({}, {&calibration, 1}, pool);
          }
          body(network);
        }
      }
    }
  }
}

std::vector<float> logits_of(model::Network& network, const data::Batch& batch) {
  ThreadPool pool(1);
  std::vector<float> logits;
  network.evaluate(batch, pool, &logits);
  return logits;
}

double largest_gradient(const model::Network& network) {
  double largest = 0;
  for (const model::Parameter& p : network.parameters()) {
    for (const double g : p.gradient) largest = std::max(largest, std::abs(g));
  }
  return largest;
}

template <class Values>
void expect_near(const Values& a, const Values& b, double bound, const std::string& name) {
  ASSERT_EQ(a.size(), b.size()) << name;
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], bound) << name << ' ' << i;
}

TEST(Padding, LeavesLogitsAlone) {
  const data::Dataset set = model::reference::random_set(1, 19, kLength, kTask, true);
  for_each_kind([&](model::Network& network) {
    const std::vector<float> tight = logits_of(network, model::reference::batch_of(set));
    for (const std::size_t more : {1u, 40u}) {
      EXPECT_EQ(logits_of(network, padded(model::reference::batch_of(set), more)), tight);
    }
    for (std::uint32_t i = 0; i < set.count; ++i) {  // each with its own length
      const data::Batch alone = model::reference::batch_of(set, std::vector<std::uint32_t>{i});
      ASSERT_EQ(alone.length, set.length_of(i));
      const std::vector<float> logits = logits_of(network, alone);
      for (std::size_t k = 0; k < 4; ++k) ASSERT_EQ(logits[k], tight[i * 4 + k]) << i;
    }
  });
}

TEST(Padding, LeavesGradientsAndStatisticsAlone) {
  const data::Dataset set = model::reference::random_set(2, 19, kLength, kTask, true);
  for_each_kind([&](const model::Network& network) {
    ThreadPool pool(1);
    const model::LossOptions loss{.label_smoothing = 0.1, .seed = 3, .step = 5};
    model::Network tight = network, loose = network;
    const model::BatchResult a = tight.train_step(model::reference::batch_of(set), loss, pool);
    const model::BatchResult b =
        loose.train_step(padded(model::reference::batch_of(set), 40), loss, pool);
    EXPECT_NEAR(a.loss, b.loss, 1e-6);
    EXPECT_EQ(a.sums, b.sums);
    for (std::size_t i = 0; i < tight.parameters().size(); ++i) {
      expect_near(tight.parameters()[i].gradient, loose.parameters()[i].gradient,
                  kRounding * largest_gradient(tight), tight.parameters()[i].name);
    }
    const formats::Safetensors after_tight = tight.to_tensors(), after_loose = loose.to_tensors();
    for (const auto& [name, tensor] : after_tight.tensors) {
      if (!name.ends_with("norm.mean") && !name.ends_with("norm.variance")) continue;
      expect_near(tensor.floats(tensor.shape, name),
                  after_loose.tensors.at(name).floats(tensor.shape, name), kRounding, name);
    }
  });
}

TEST(Padding, LeavesRangesAlone) {
  const data::Batch tight =
      model::reference::batch_of(model::reference::random_set(3, 19, kLength, kTask, true));
  const data::Batch loose = padded(tight, 40);
  for (const model::Norm norm : {model::Norm::kBatch, model::Norm::kNone}) {
    model::ModelOptions o = model::reference::small_options();
    o.norm = norm;
    o.layers = 2;
    // Biases would expose padding, since they continue after the end.
    model::Network a = model::reference::random_network(o, kTask), b = a;
    ThreadPool pool(2);
    a.quantize({}, {&tight, 1}, pool);
    b.quantize({}, {&loose, 1}, pool);
    EXPECT_EQ(a.state().state_steps, b.state().state_steps);
    for (std::size_t i = 0; i < a.parameters().size(); ++i) {
      if (a.parameters()[i].group != model::ParameterGroup::kRange) continue;
      EXPECT_NEAR(a.parameters()[i].value[0], b.parameters()[i].value[0], 1e-6)
          << a.parameters()[i].name;
    }
  }
}

TEST(Padding, LeavesAChipsScoresAlone) {
  const data::Batch tight =
      model::reference::batch_of(model::reference::random_set(4, 19, kLength, kTask, true));
  const data::Batch loose = padded(tight, 40);
  ThreadPool pool(1);
  for (const model::Pooling pooling : {model::Pooling::kMean, model::Pooling::kLast}) {
    model::ModelOptions o = model::reference::small_options();
    o.norm = model::Norm::kNone;
    o.pooling = pooling;
    model::Network network = model::reference::random_network(o, kTask);
    network.quantize({}, {&tight, 1}, pool);
    const integer::IntegerNetwork integers = integer::to_integers(network);
    crossbar::Target target;
    target.device.read_noise = 0;
    const mapping::Mapping mapping = mapping::map_network(integers, target.crossbar, loose.length);
    const simulate::Chip chip(integers, mapping, target, 1, 0);
    const auto logits = [&](const data::Batch& batch) {
      std::vector<float> all;
      for (const simulate::ChipResult& r : chip.run(batch, 0, pool)) {
        for (const float v : r.logits()) all.push_back(v);
      }
      return all;
    };
    const std::vector<float> a = logits(tight), b = logits(loose);
    EXPECT_EQ(a, b) << name_of(pooling);
  }
}

}  // namespace
}  // namespace crosstate
