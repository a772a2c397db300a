#include <algorithm>

#include "crosstate/model/group_pass.h"

namespace crosstate {

Spreads::Spreads(const Network::State& state) {
  blocks.resize(state.blocks.size());
  for (std::size_t l = 0; l < blocks.size(); ++l)
    blocks[l].state.assign(state.shapes[l].modes(), 0);
}

Spread& Spread::operator|=(const Spread& other) {
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

Spreads& Spreads::operator|=(const Spreads& other) {
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

// Every spread of one forward pass, on top of what `start` holds.
Spreads forward_spreads(const Network::State& state, const Coefficients& coefficients,
                        std::span<const Batch> batches, ThreadPool& pool, const Spreads& start) {
  Spreads all = start;
  for (const Batch& batch : batches) {
    const GroupPass pass(state, coefficients, batch);
    const auto workers = static_cast<std::size_t>(pool.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    std::vector<Spreads> spreads(batch.groups, start);
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      const auto i = static_cast<std::size_t>(worker);
      pass.prepare(memory[i], g, false);
      pass.encode(memory[i], g, scratch[i], &spreads[g]);
      for (std::size_t l = 0; l < state.blocks.size(); ++l) {
        pass.layer_forward(l, memory[i], scratch[i], &spreads[g]);
      }
    });
    for (const Spreads& s : spreads) all |= s;
  }
  return all;
}

template <class F>
void for_each(Spreads& spreads, F f) {
  f(spreads.input);
  f(spreads.residual);
  f(spreads.output);
  for (Spreads::Block& b : spreads.blocks) {
    for (Spread* s : {&b.ssm_output, &b.activation, &b.linear}) f(*s);
  }
}

}  // namespace

Spreads measure_spreads(const Network::State& state, const Coefficients& coefficients,
                        std::span<const Batch> batches, ThreadPool& pool, bool histograms) {
  Spreads spreads = forward_spreads(state, coefficients, batches, pool, Spreads(state));
  if (!histograms) return spreads;
  Spreads ranges = spreads;
  for_each(ranges, [](Spread& s) {
    s.squares = s.count = 0;
    s.row_sums.clear();
    s.histogram.assign(kSpreadBins, 0);
  });
  Spreads counted = forward_spreads(state, coefficients, batches, pool, ranges);
  for_each(counted, [](Spread& s) {
    s.squares = s.count = 0;
    s.row_sums.clear();
  });
  spreads |= counted;
  return spreads;
}

}  // namespace crosstate
