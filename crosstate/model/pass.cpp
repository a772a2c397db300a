#include "crosstate/model/pass.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "crosstate/model/group_forward.h"
#include "crosstate/model/stream_target.h"

namespace crosstate::model {
namespace {

constexpr double kNormMomentum = 0.1;
constexpr double kNormEpsilon = 1e-5;

BatchResult mean(const std::vector<BatchResult>& parts) {
  BatchResult total;
  for (const BatchResult& r : parts) {
    total.loss += r.loss;
    total.count += r.count;
    total.sums.resize(r.sums.size(), 0);
    for (std::size_t k = 0; k < r.sums.size(); ++k) total.sums[k] += r.sums[k];
  }
  if (total.count > 0) total.loss /= static_cast<double>(total.count);
  return total;
}

// Computes batch statistics of layer l from the sums of the groups, sets the affine map of this
// batch, and moves the running statistics by `momentum`.
void set_batch_statistics(Network::State& s, std::size_t l, const std::vector<double>& sum,
                          const std::vector<double>& squares, double n, double momentum,
                          BlockCoefficients& c, std::vector<double>& mean_out,
                          std::vector<double>& deviation_out) {
  const BlockParameters& p = s.blocks[l];
  for (std::size_t o = 0; o < sum.size(); ++o) {
    const double mu = sum[o] / n;
    const double variance = std::max(0.0, squares[o] / n - mu * mu);
    mean_out[o] = mu;
    deviation_out[o] = std::sqrt(variance + kNormEpsilon);
    const double scale = s.parameters[p.gamma].value[o] / deviation_out[o];
    c.norm_scale[o] = static_cast<float>(scale);
    c.norm_shift[o] = static_cast<float>(s.parameters[p.beta].value[o] - scale * mu);
    float& running_mean = s.statistics[l].mean[o];
    float& running_variance = s.statistics[l].variance[o];
    const auto share = static_cast<float>(momentum);
    running_mean += share * (static_cast<float>(mu) - running_mean);
    running_variance += share * (static_cast<float>(variance) - running_variance);
  }
}

// The adjoint of batch norm as one affine map of (gradient, z) per row, and its parameter
// gradients.
AlignedFloats norm_adjoint_map(const std::vector<double>& sum, const std::vector<double>& dot,
                               const std::vector<double>& mean,
                               const std::vector<double>& deviation, double n,
                               const BlockCoefficients& c, BlockGradients& g) {
  const std::size_t outputs = sum.size();
  AlignedFloats map(3 * outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    const double ggamma = (dot[o] - mean[o] * sum[o]) / deviation[o];
    g.gamma[o] += ggamma;
    g.beta[o] += sum[o];
    const double scale = c.norm_scale[o];
    const double slope = ggamma / n / deviation[o];
    map[o] = static_cast<float>(scale);
    map[outputs + o] = static_cast<float>(-scale * slope);
    map[2 * outputs + o] = static_cast<float>(-scale * (sum[o] / n - mean[o] * slope));
  }
  return map;
}

}  // namespace

BatchResult forward_batch(const Network::State& state, const Coefficients& coefficients,
                          const data::Batch& batch, ThreadPool& pool, std::vector<float>* logits) {
  const GroupPass pass(state, coefficients, batch);
  const std::size_t of_sequence = pass.reads() * static_cast<std::size_t>(state.task.outputs);
  std::vector<float> all(logits == nullptr ? 0 : batch.groups * kLanes * of_sequence);
  std::vector<BatchResult> results(batch.groups);
  std::vector<GroupMemory> memory(static_cast<std::size_t>(pool.size()));
  std::vector<Scratch> scratch(memory.size());
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    GroupMemory& m = memory[static_cast<std::size_t>(worker)];
    Scratch& w = scratch[static_cast<std::size_t>(worker)];
    pass.prepare(m, g, Keep::kNothing);
    GroupForward forward(pass, m, w);
    walk_stretches(forward, state.blocks.size(), pass.blocks());
    results[g] = pass.decode(m, g, {}, logits == nullptr ? nullptr : &all[g * kLanes * of_sequence],
                             nullptr);
  });
  if (logits != nullptr) {
    all.resize(batch.count * of_sequence);
    *logits = std::move(all);
  }
  return mean(results);
}

namespace {

using Sums = std::vector<std::vector<double>>;

std::vector<double> total(const Sums& parts) {
  std::vector<double> all(parts.front().size(), 0);
  for (const auto& part : parts) {
    for (std::size_t o = 0; o < all.size(); ++o) all[o] += part[o];
  }
  return all;
}

struct TrainingMemory {
  std::vector<GroupMemory> groups;
  std::vector<AlignedFloats> gradient;
  std::vector<Scratch> scratch;
};

// Kept between calls: allocating and touching new pages would cost as much as a layer.
TrainingMemory& training_memory(std::size_t groups, const ThreadPool& pool) {
  thread_local TrainingMemory memory;
  memory.groups.resize(std::max(memory.groups.size(), groups));
  memory.gradient.resize(memory.groups.size());
  const auto workers = static_cast<std::size_t>(pool.size());
  memory.scratch.resize(std::max(memory.scratch.size(), workers));
  return memory;
}

// For one batch, by layer and row.
struct NormMoments {
  Sums mean, deviation;
  double count = 0;
};

// Forward pass up to the last linear layer, with norms that use the statistics of the whole batch:
// the groups are synchronised before each norm. `begin` prepares a group.
template <class Begin>
NormMoments forward_to_last_norm(const GroupPass& pass, Network::State& state,
                                 Coefficients& coefficients, const data::Batch& batch,
                                 double momentum, const Begin& begin, TrainingMemory& kept,
                                 ThreadPool& pool) {
  const std::size_t layers = state.blocks.size(), outputs = state.linear_outputs();
  const Sums zeros(batch.groups, std::vector<double>(outputs, 0));
  NormMoments moments;
  moments.mean = moments.deviation = Sums(layers, std::vector<double>(outputs));
  for (const std::uint32_t length : batch.lengths) moments.count += length;
  for (std::size_t l = 0; l < layers; ++l) {
    Sums sum = zeros, squares = zeros;
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      Scratch& w = kept.scratch[static_cast<std::size_t>(worker)];
      GroupMemory& m = kept.groups[g];
      if (l == 0) begin(g);
      GroupForward forward(pass, m, w);
      for (const TimeBlock& b : pass.blocks()) {
        forward.at(b);
        if (l == 0) {
          walk_encoder(forward);
        } else {
          walk_from_norm(forward, l - 1, b.rows(std::as_const(m.z[l - 1]).data(), outputs));
        }
        const kernels::ConstRows z = walk_to_norm(forward, l);
        kernels::row_sums(outputs, b.columns(), forward.mask(), z, z, sum[g].data(),
                          squares[g].data());
      }
    });
    set_batch_statistics(state, l, total(sum), total(squares), moments.count, momentum,
                         coefficients.blocks[l], moments.mean[l], moments.deviation[l]);
  }
  return moments;
}

}  // namespace

void measure_norms(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                   double momentum, ThreadPool& pool) {
  const GroupPass pass(state, coefficients, batch);
  TrainingMemory& kept = training_memory(batch.groups, pool);
  const auto begin = [&](std::size_t g) { pass.prepare(kept.groups[g], g, Keep::kAdjoint); };
  forward_to_last_norm(pass, state, coefficients, batch, momentum, begin, kept, pool);
}

double training_bytes(const Network::State& state, std::size_t count, std::size_t length) {
  const std::size_t H = state.channels(), layers = state.blocks.size();
  std::size_t per_step = (layers + 2) * H, modes = 0;  // streams, and the gradient of one
  for (const BlockShape& shape : state.shapes) {
    per_step += 3 * shape.size() + (state.gated() ? H : 0) + state.linear_outputs();
    modes += shape.modes();
  }
  if (state.options.readout == task::Scope::kStep) {
    per_step += 3 * static_cast<std::size_t>(state.task.outputs);  // gradients in double precision
  }
  const std::size_t state_size =
      kernels::scan_state_size(1, state.coefficients().rounding.mode) * modes;
  const double steps = static_cast<double>(length);
  const double checkpoints = steps / state.options.block_length + 2;
  const auto groups = static_cast<double>((count + kLanes - 1) / kLanes);
  return groups * sizeof(float) *
         (steps * kLanes * static_cast<double>(per_step) +
          checkpoints * static_cast<double>(state_size));
}

BatchResult train_batch(Network::State& state, Coefficients& coefficients, const data::Batch& batch,
                        const LossOptions& loss, ThreadPool& pool) {
  const GroupPass pass(state, coefficients, batch);
  const std::size_t groups = batch.groups, layers = state.blocks.size();
  const std::size_t outputs = state.linear_outputs();
  const bool batch_norm = state.batch_norm();
  TrainingMemory& kept = training_memory(groups, pool);
  std::vector<GroupMemory>& mem = kept.groups;
  std::vector<AlignedFloats>& gradient = kept.gradient;
  std::vector<Scratch>& work = kept.scratch;

  std::optional<StreamTarget> target;
  if (loss.stream_weight > 0) target.emplace(*loss.stream_teacher, batch, pool);
  std::vector<Gradients> sums(groups, Gradients(state));
  std::vector<BatchResult> results(groups);
  const Sums zeros(groups, std::vector<double>(outputs, 0));
  NormMoments moments;

  // Forward pass. Without batch norm a group runs through all layers at once; otherwise the groups
  // are synchronised before every norm.
  const auto begin = [&](std::size_t g) {
    pass.prepare(mem[g], g, Keep::kAdjoint);
    GroupPass::draw_seeds(mem[g], g, loss);
    pass.draw_dropout(mem[g], g, loss);
  };
  const auto end = [&](std::size_t g) {
    std::vector<double> glogits;
    results[g] = pass.decode(mem[g], g, loss, nullptr, &glogits);
    pass.decode_adjoint(mem[g], glogits, sums[g], gradient[g]);
  };
  const auto pull = [&](std::size_t l, std::size_t g) {
    if (!target) return;
    const double weight = loss.stream_weight * static_cast<double>(results[g].count);
    results[g].loss += target->pull(l, mem[g], weight, gradient[g]);
  };
  if (!batch_norm) {
    pool.parallel_for(groups, [&](std::size_t g, int worker) {
      Scratch& w = work[static_cast<std::size_t>(worker)];
      begin(g);
      GroupForward forward(pass, mem[g], w);
      walk_layers(forward, layers, pass.blocks());
      end(g);
      for (std::size_t l = layers; l-- > 0;) {
        pull(l, g);
        pass.layer_adjoint(l, mem[g], gradient[g], w, {}, sums[g]);
      }
      pass.encode_adjoint(mem[g], gradient[g], w, sums[g]);
    });
  } else {
    moments =
        forward_to_last_norm(pass, state, coefficients, batch, kNormMomentum, begin, kept, pool);
    pool.parallel_for(groups, [&](std::size_t g, int worker) {
      GroupForward forward(pass, mem[g], work[static_cast<std::size_t>(worker)]);
      for (const TimeBlock& b : pass.blocks()) {
        forward.at(b);
        walk_from_norm(forward, layers - 1,
                       b.rows(std::as_const(mem[g].z[layers - 1]).data(), outputs));
        forward.read();
      }
      end(g);
    });
    for (std::size_t l = layers; l-- > 0;) {
      Sums sum = zeros, dot = zeros;
      pool.parallel_for(groups, [&](std::size_t g, int worker) {
        pull(l, g);
        pass.norm_sums(l, mem[g], gradient[g], work[static_cast<std::size_t>(worker)],
                       sum[g].data(), dot[g].data());
      });
      const AlignedFloats map =
          norm_adjoint_map(total(sum), total(dot), moments.mean[l], moments.deviation[l],
                           moments.count, coefficients.blocks[l], sums[0].blocks[l]);
      pool.parallel_for(groups, [&](std::size_t g, int worker) {
        Scratch& w = work[static_cast<std::size_t>(worker)];
        pass.layer_adjoint(l, mem[g], gradient[g], w, map, sums[g]);
        if (l == 0) pass.encode_adjoint(mem[g], gradient[g], w, sums[g]);
      });
    }
  }

  for (std::size_t g = 1; g < groups; ++g) sums[0] += sums[g];
  for (Parameter& p : state.parameters) std::fill(p.gradient.begin(), p.gradient.end(), 0.0);
  const BatchResult result = mean(results);
  backpropagate(sums[0], 1 / static_cast<double>(std::max<std::size_t>(result.count, 1)),
                coefficients, state);
  return result;
}

}  // namespace crosstate::model
