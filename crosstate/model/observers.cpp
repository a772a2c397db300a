#include <algorithm>

#include "crosstate/model/group_pass.h"

namespace crosstate {

Observers::Observers(const Network::State& state) {
  blocks.resize(state.blocks.size());
  for (std::size_t l = 0; l < blocks.size(); ++l)
    blocks[l].state.assign(state.shapes[l].modes(), 0);
}

Observer& Observer::operator|=(const Observer& other) {
  low = std::min(low, other.low);
  high = std::max(high, other.high);
  squares += other.squares;
  count += other.count;
  row_sums.resize(std::max(row_sums.size(), other.row_sums.size()), 0);
  for (std::size_t i = 0; i < other.row_sums.size(); ++i) row_sums[i] += other.row_sums[i];
  histogram.resize(std::max(histogram.size(), other.histogram.size()), 0);
  for (std::size_t i = 0; i < other.histogram.size(); ++i) histogram[i] += other.histogram[i];
  return *this;
}

Observers& Observers::operator|=(const Observers& other) {
  input |= other.input;
  residual |= other.residual;
  output |= other.output;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    Block& a = blocks[l];
    const Block& b = other.blocks[l];
    a.ssm_output |= b.ssm_output;
    a.activation |= b.activation;
    a.linear |= b.linear;
    for (std::size_t i = 0; i < a.state.size(); ++i) a.state[i] = std::max(a.state[i], b.state[i]);
  }
  return *this;
}

namespace {

// Every observer of one forward pass, on top of what `start` holds.
Observers forward_spreads(const Network::State& state, const Coefficients& coefficients,
                          std::span<const Batch> batches, ThreadPool& pool,
                          const Observers& start) {
  Observers all = start;
  for (const Batch& batch : batches) {
    const GroupPass pass(state, coefficients, batch);
    const auto workers = static_cast<std::size_t>(pool.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    std::vector<Observers> observers(batch.groups, start);
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      const auto i = static_cast<std::size_t>(worker);
      pass.prepare(memory[i], g, false);
      pass.encode(memory[i], g, scratch[i], &observers[g]);
      for (std::size_t l = 0; l < state.blocks.size(); ++l) {
        pass.layer_forward(l, memory[i], scratch[i], &observers[g]);
      }
    });
    for (const Observers& s : observers) all |= s;
  }
  return all;
}

template <class F>
void for_each(Observers& observers, F f) {
  f(observers.input);
  f(observers.residual);
  f(observers.output);
  for (Observers::Block& b : observers.blocks) {
    for (Observer* s : {&b.ssm_output, &b.activation, &b.linear}) f(*s);
  }
}

}  // namespace

Observers measure_observers(const Network::State& state, const Coefficients& coefficients,
                            std::span<const Batch> batches, ThreadPool& pool, bool histograms) {
  Observers observers = forward_spreads(state, coefficients, batches, pool, Observers(state));
  if (!histograms) return observers;
  Observers ranges = observers;
  for_each(ranges, [](Observer& s) {
    s.squares = s.count = 0;
    s.row_sums.clear();
    s.histogram.assign(kObserverBins, 0);
  });
  Observers counted = forward_spreads(state, coefficients, batches, pool, ranges);
  for_each(counted, [](Observer& s) {
    s.squares = s.count = 0;
    s.row_sums.clear();
  });
  observers |= counted;
  return observers;
}

}  // namespace crosstate
