// Shared by the tests of networks: small networks without initial values, random sequences, and
// numerical gradients of the loss.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/network.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/parts.h"
#include "crosstate/model/reference.h"

namespace crosstate::model {

/// Two inputs, four classes.
inline constexpr TaskShape kTask{2, 4};

/// The outputs of a network for a batch, [sequence, output].
inline std::vector<float> logits_of(const Network& network, const data::Batch& batch,
                                    int threads = 1) {
  ThreadPool pool(threads);
  std::vector<float> logits;
  network.evaluate(batch, pool, &logits);
  return logits;
}

}  // namespace crosstate::model

namespace crosstate::model::reference {

/// Three channels, two modes, one layer, and step sizes that matter within some tens of samples.
inline ModelOptions small_options() {
  ModelOptions o;
  o.channels = 3;
  o.states = 4;
  o.layers = 1;
  o.dt_min = 0.05;
  o.dt_max = 0.5;
  o.block_length = 7;
  return o;
}

/// Normal sequences with random labels, of random lengths if `ragged`.
inline data::Dataset random_set(std::uint64_t seed, std::size_t count, std::size_t length,
                                const TaskShape& task, bool ragged = false) {
  Random random(seed, Stream::kTest);
  data::Dataset set;
  set.name = "random";
  set.count = count;
  set.length = length;
  set.channels = static_cast<std::size_t>(task.inputs);
  set.values.assign(count * length * set.channels, 0);
  for (int k = 0; k < task.outputs; ++k) set.readout.names.push_back(std::to_string(k));
  for (std::size_t i = 0; i < count; ++i) {
    set.targets.push_back(
        static_cast<float>(random.below(static_cast<std::uint32_t>(task.outputs))));
    const std::size_t n = ragged ? 1 + random.below(static_cast<std::uint32_t>(length)) : length;
    if (ragged) set.lengths.push_back(static_cast<std::uint32_t>(n));
    for (std::size_t k = 0; k < n * set.channels; ++k) {
      set.values[i * length * set.channels + k] = static_cast<float>(random.normal());
    }
  }
  set.validate();
  return set;
}

/// The same with a random label at about three of four steps, for networks that are read at every
/// step.
inline data::Dataset random_step_set(std::uint64_t seed, std::size_t count, std::size_t length,
                                     const TaskShape& task, bool ragged = false) {
  data::Dataset set = random_set(seed, count, length, task, ragged);
  Random random(seed, Stream::kTest, 1);
  set.readout.scope = task::Scope::kStep;
  set.targets.assign(count * length, task::kNotCounted);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t t = 0; t < set.length_of(i); ++t) {
      const auto label = static_cast<float>(random.below(static_cast<std::uint32_t>(task.outputs)));
      if (random.below(4) > 0) set.targets[i * length + t] = label;
    }
  }
  set.validate();
  return set;
}

inline data::Batch batch_of(const data::Dataset& set, const std::vector<std::uint32_t>& rows,
                            std::size_t block_length = 7) {
  data::Batch batch;
  data::fill_batch(set, rows, block_length, batch);
  return batch;
}

inline data::Batch batch_of(const data::Dataset& set, std::size_t block_length = 7) {
  std::vector<std::uint32_t> rows(set.count);
  std::iota(rows.begin(), rows.end(), 0u);
  return batch_of(set, rows, block_length);
}

/// One sequence of a set with its own length.
inline Sequence<double> sequence_of(const data::Dataset& set, std::size_t i) {
  Sequence<double> u(set.length_of(i), std::vector<double>(set.channels));
  for (std::size_t t = 0; t < u.size(); ++t) {
    for (std::size_t c = 0; c < set.channels; ++c) {
      u[t][c] = set.sequence(i)[t * set.channels + c];
    }
  }
  return u;
}

/// A network whose norms, their statistics and B are random too.
inline Network random_network(const ModelOptions& options, const TaskShape& task,
                              std::uint64_t seed = 1) {
  formats::Safetensors content = Network(options, task, seed).to_tensors();
  Random random(seed, Stream::kTest, 1);
  const auto redraw = [&](const std::string& name, double low, double high) {
    formats::Tensor& t = content.tensors.at(name);
    std::vector<float> v = t.floats(t.shape, name);
    for (float& x : v) x = static_cast<float>(random.uniform(low, high));
    t = formats::Tensor::from(v, t.shape);
  };
  for (int l = 0; l < options.layers; ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    if (options.norm != Norm::kNone) {
      redraw(at + "norm.gamma", 0.5, 1.5);
      redraw(at + "norm.beta", -0.5, 0.5);
    }
    if (options.norm == Norm::kBatch) {
      redraw(at + "norm.mean", -0.5, 0.5);
      redraw(at + "norm.variance", 0.5, 2);
    }
    if (options.train_b) redraw(at + "B", -1.5, 1.5);
    redraw(at + "log_a", -1.5, 0.5);
  }
  return Network::from_tensors(content, "random");
}

/// Random parts: about two thirds of the modes and channels of every block, and all but one channel
/// of the stream. Every block keeps its first channel and the first mode of that channel.
inline NetworkParts random_parts(const Network& network, std::uint64_t seed) {
  Random random(seed, Stream::kTest, 2);
  const auto thin = [&](std::vector<std::size_t>& numbers) {
    std::erase_if(numbers, [&](std::size_t i) { return i > 0 && random.below(3) == 0; });
  };
  NetworkParts parts = NetworkParts::of(network);
  for (NetworkParts::Block& block : parts.blocks) {
    thin(block.channels);
    thin(block.modes);
  }
  if (parts.stream.size() > 1) parts.stream.pop_back();
  return parts;
}

/// random_network() with two layers of small_options(), complex or real modes, and, if pruned, only
/// random_parts().
inline Network small_network(Norm norm, bool real_modes, bool pruned, const TaskShape& task) {
  ModelOptions o = small_options();
  o.norm = norm;
  o.layers = 2;
  if (real_modes) {
    o.modes = ModeKind::kReal;
    o.init = PoleStart::kReal;
  }
  const Network whole = random_network(o, task);
  return pruned ? whole.part(random_parts(whole, 1)) : whole;
}

/// Compares the gradients of all parameters, after train_step(), with differences of the loss along
/// random directions. `tolerance` is relative to the average magnitude of such a slope.
struct GradientCheck {
  // Along directions of length 1. A kink of a hard activation between two points affects their
  // difference, so smaller steps are tried until one agrees.
  std::vector<double> steps = {4e-3, 1e-3};
  double tolerance = 2e-2;
  double noise = 8e-8;  // of the loss, due to float32
  double smallest = 0;  // smallest meaningful gradient; 0: noise divided by the first step
  int directions = 2;
  std::vector<std::string> zero;  // suffixes of the names of parameters without effect on the loss

  void run(Network network, const data::Batch& batch, const LossOptions& loss,
           ThreadPool& pool) const {
    network.train_step(batch, loss, pool);
    const std::vector<Parameter> analytic = network.parameters();
    Random random(99, Stream::kTest);
    for (std::size_t p = 0; p < analytic.size(); ++p) {
      for (int i = 0; i < directions; ++i) {
        check(analytic[p], random, [&](const std::vector<double>& move) {
          std::vector<float>& value = network.parameters()[p].value;
          for (std::size_t k = 0; k < value.size(); ++k) {
            value[k] = static_cast<float>(analytic[p].value[k] + move[k]);
          }
          const double moved = network.train_step(batch, loss, pool).loss;
          value = analytic[p].value;
          return moved;
        });
      }
    }
  }

 private:
  template <class Loss>
  void check(const Parameter& analytic, Random& random, Loss loss) const {
    const std::size_t n = analytic.value.size();
    std::vector<double> direction(n);
    double length = 0, slope = 0, size = 0;
    for (double& d : direction) {
      d = random.normal();
      length += d * d;
    }
    for (std::size_t i = 0; i < n; ++i) {
      direction[i] /= std::sqrt(length);
      slope += direction[i] * analytic.gradient[i];
      size += analytic.gradient[i] * analytic.gradient[i];
    }
    size = std::sqrt(size / static_cast<double>(n));
    double difference = 0, bound = 0;
    for (const double step : steps) {
      const auto at = [&](double e) {
        std::vector<double> move = direction;
        for (double& d : move) d *= e * step;
        return loss(move);
      };
      difference = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
      bound = tolerance * std::max(std::abs(slope), size) + noise / step;
      if (std::abs(slope - difference) <= bound) break;
    }
    EXPECT_NEAR(slope, difference, bound) << "gradient of " << analytic.name;
    // For a vanishing gradient agreement is meaningless.
    const bool vanishes = std::any_of(zero.begin(), zero.end(), [&](const std::string& end) {
      return analytic.name.ends_with(end);
    });
    if (!vanishes) {
      EXPECT_GT(size, smallest > 0 ? smallest : noise / steps.front())
          << "gradient of " << analytic.name << " vanishes";
    }
  }
};

}  // namespace crosstate::model::reference
