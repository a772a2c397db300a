#include "crosstate/model/stream_target.h"

#include <algorithm>

#include "crosstate/model/group_forward.h"

namespace crosstate::model {
namespace {

// Avoids a division by zero for a stream of zeros.
constexpr double kLeastMeanSquare = 1e-12;

// Calls f(i) for every value of a group's stream that is not padding.
template <class F>
void for_valid(const data::Batch& batch, std::size_t group, std::size_t channels, F f) {
  for (std::size_t start = 0; start < batch.length; start += batch.block_length) {
    const std::size_t steps = std::min(batch.block_length, batch.length - start);
    for (std::size_t h = 0; h < channels; ++h) {
      const std::size_t row = (start * channels + h * steps) * kLanes;
      for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          const std::size_t sequence = group * kLanes + lane;
          if (sequence >= batch.count || start + t >= batch.lengths[sequence]) continue;
          f(row + t * kLanes + lane);
        }
      }
    }
  }
}

}  // namespace

StreamTarget::StreamTarget(const Network& teacher, const data::Batch& batch, ThreadPool& pool)
    : batch_(batch), channels_(teacher.state().channels()), streams_(batch.groups) {
  const Network::State& state = teacher.state();
  const Coefficients coefficients = state.deployed_coefficients();
  const GroupPass pass(state, coefficients, batch);
  const std::size_t layers = state.blocks.size();
  const auto workers = static_cast<std::size_t>(pool.size());
  std::vector<GroupMemory> memory(workers);
  std::vector<Scratch> scratch(workers);
  std::vector<std::vector<double>> squares(batch.groups, std::vector<double>(layers, 0));
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    GroupMemory& m = memory[static_cast<std::size_t>(worker)];
    pass.prepare(m, g, Keep::kStreams);
    GroupForward forward(pass, m, scratch[static_cast<std::size_t>(worker)]);
    walk_layers(forward, layers, pass.blocks());
    for (std::size_t l = 0; l < layers; ++l) {
      const AlignedFloats& stream = m.h[l + 1];
      for_valid(batch_, g, channels_, [&](std::size_t i) {
        squares[g][l] += static_cast<double>(stream[i]) * stream[i];
      });
    }
    streams_[g].assign(m.h.begin() + 1, m.h.end());
  });
  double steps = 0;
  for (std::size_t i = 0; i < batch.count; ++i) steps += batch.lengths[i];
  mean_square_.assign(layers, 0);
  for (std::size_t l = 0; l < layers; ++l) {
    for (const std::vector<double>& of_group : squares) mean_square_[l] += of_group[l];
    mean_square_[l] /= std::max(steps, 1.0) * static_cast<double>(channels_);
    mean_square_[l] = std::max(mean_square_[l], kLeastMeanSquare);
  }
}

double StreamTarget::pull(std::size_t l, const GroupMemory& m, double weight,
                          AlignedFloats& gradient) const {
  const AlignedFloats &student = m.h[l + 1], &teacher = streams_[m.group][l];
  double values = 0;
  for_valid(batch_, m.group, channels_, [&](std::size_t) { values += 1; });
  if (values == 0) return 0;
  const double share =
      weight / (values * static_cast<double>(streams_[m.group].size()) * mean_square_[l]);
  double loss = 0;
  for_valid(batch_, m.group, channels_, [&](std::size_t i) {
    const double difference = static_cast<double>(student[i]) - teacher[i];
    loss += share * difference * difference;
    gradient[i] += static_cast<float>(2 * share * difference);
  });
  return loss;
}

}  // namespace crosstate::model
