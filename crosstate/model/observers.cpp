#include <algorithm>
#include <cmath>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/model/group_forward.h"

namespace crosstate::model {

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

// Forward pass in which every observed value is passed to an observer.
class ObservedForward : public GroupForward {
 public:
  ObservedForward(const GroupPass& pass, GroupMemory& m, Scratch& w, Observers& observers)
      : GroupForward(pass, m, w), observers_(observers) {}

  kernels::ConstRows input() const {
    return seen(p_.inputs(), GroupForward::input(), observers_.input);
  }
  kernels::ConstRows encode(kernels::ConstRows x) const {
    return seen(p_.channels(), GroupForward::encode(x), observers_.residual);
  }
  kernels::Rows recur(std::size_t l, kernels::ConstRows u) const {
    const BlockShape& shape = p_.shape(l);
    float* const largest = observers_.blocks[l].state.data();
    const auto scan = [&](std::size_t s, const float* in, float* y, float* states) {
      const std::size_t first = shape.first[s];
      observe_states(p_.modes(l, s), rounding_of(l, first), in, y, states + first * p_.state_size(),
                     largest + first);
    };
    const kernels::Rows y = recur_by(l, u, scan);
    seen(shape.size(), y, observers_.blocks[l].ssm_output);
    return y;
  }
  kernels::ConstRows activate(std::size_t l, kernels::ConstRows y, kernels::ConstRows u) const {
    return seen(p_.shape(l).size(), GroupForward::activate(l, y, u),
                observers_.blocks[l].activation);
  }
  kernels::ConstRows normalize(std::size_t l, kernels::ConstRows z) const {
    return seen(p_.outputs(), GroupForward::normalize(l, z), observers_.blocks[l].linear);
  }
  kernels::ConstRows normalize_sum(std::size_t l, kernels::ConstRows r) const {
    const kernels::ConstRows n =
        seen(p_.channels(), GroupForward::normalize_sum(l, r), observers_.residual);
    return l + 1 == observers_.blocks.size() ? seen(p_.channels(), n, observers_.output) : n;
  }
  static void read() {}  // the read-out is not needed

 private:
  // Adds the values of a panel to an observer: their extremes or, if those are known, a histogram.
  kernels::ConstRows seen(std::size_t rows, kernels::ConstRows x, Observer& to) const {
    const float* used = mask();
    const double bins = static_cast<double>(to.histogram.size());
    const double per_value = bins / std::max(1e-30, static_cast<double>(to.high) - to.low);
    if (to.histogram.empty()) to.row_sums.resize(rows, 0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns(); ++c) {
        if (used != nullptr && used[c] == 0) continue;
        const float v = x.row(r)[c];
        if (!to.histogram.empty()) {
          const double bin = std::clamp((v - to.low) * per_value, 0.0, bins - 1);
          ++to.histogram[static_cast<std::size_t>(bin)];
          continue;
        }
        to.low = std::min(to.low, v);
        to.high = std::max(to.high, v);
        to.squares += static_cast<double>(v) * v;
        to.row_sums[r] += v;
        ++to.count;
      }
    }
    return x;
  }

  // One step at a time, so that every state is observed.
  void observe_states(const kernels::ScanModes& modes, kernels::StateRounding rounding,
                      const float* u, float* y, float* state, float* largest) const {
    const float* used = mask();
    for (std::size_t t = 0; t < b_->steps; ++t, ++rounding.draws.first_step) {
      kernels::scan_forward(modes, rounding, 1, u + t * kLanes, y + t * kLanes, state);
      for (std::size_t n = 0; n < modes.modes; ++n) {
        for (std::size_t i = 0; i < 2 * kLanes; ++i) {
          if (used != nullptr && used[t * kLanes + i % kLanes] == 0) continue;
          largest[n] = std::max(largest[n], std::abs(state[n * 2 * kLanes + i]));
        }
      }
    }
  }

  Observers& observers_;
};

// Updates every observer by one forward pass, starting from `start`.
Observers forward_spreads(const Network::State& state, const Coefficients& coefficients,
                          std::span<const data::Batch> batches, ThreadPool& pool,
                          const Observers& start) {
  Observers all = start;
  for (const data::Batch& batch : batches) {
    const GroupPass pass(state, coefficients, batch);
    const auto workers = static_cast<std::size_t>(pool.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    std::vector<Observers> observers(batch.groups, start);
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      const auto i = static_cast<std::size_t>(worker);
      pass.prepare(memory[i], g, Keep::kNothing);
      ObservedForward forward(pass, memory[i], scratch[i], observers[g]);
      walk_stretches(forward, state.blocks.size(), pass.blocks());
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

void require_finite(const Observers& observers) {
  std::size_t count = 0;
  std::string sites;
  const auto see = [&](const std::string& site, bool finite) {
    if (finite) return;
    if (++count <= 3) sites += (count == 1 ? "" : ", ") + site;
  };
  // The sum of squares shows every value, and those of finite values do not overflow in binary64.
  const auto finite = [](const Observer& s) { return std::isfinite(s.squares - s.low + s.high); };
  see("input", finite(observers.input));
  see("residual", finite(observers.residual));
  for (std::size_t l = 0; l < observers.blocks.size(); ++l) {
    const Observers::Block& b = observers.blocks[l];
    const std::string at = "layers." + std::to_string(l) + '.';
    see(at + "state", std::all_of(b.state.begin(), b.state.end(),
                                  [](float largest) { return std::isfinite(largest); }));
    see(at + "ssm_output", finite(b.ssm_output));
    see(at + "activation", finite(b.activation));
    see(at + "linear", finite(b.linear));
  }
  see("output", finite(observers.output));
  if (count == 0) return;
  if (count > 3) sites += " and " + std::to_string(count - 3) + " more sites";
  fail("calibration", "values of " + sites +
                          " are not finite: the network overflows on these sequences; expected "
                          "smaller inputs or weights");
}

Observers measure_observers(const Network::State& state, const Coefficients& coefficients,
                            std::span<const data::Batch> batches, ThreadPool& pool,
                            bool histograms) {
  Observers observers = forward_spreads(state, coefficients, batches, pool, Observers(state));
  require_finite(observers);
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

}  // namespace crosstate::model
