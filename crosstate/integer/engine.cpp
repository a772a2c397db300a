#include "crosstate/integer/engine.h"

#include <algorithm>
#include <array>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/code_panels.h"
#include "crosstate/integer/lane_sites.h"

namespace crosstate::integer {
namespace {

// Scratch memory of one thread.
struct Work {
  CodeMemory panels;
  LaneStates states;
  std::vector<std::int64_t> sums;  // of one step
};

}  // namespace

struct IntegerEngine::Inside {
  IntegerNetwork n;
  LaneNetwork lanes;
  bool exact;

  explicit Inside(const IntegerNetwork& network) : n(network), lanes(n), exact(lanes.exact()) {}

  // results: those of the batch, `first` where each sequence begins among them.
  void run_group(const data::Batch& batch, std::size_t group, Work& w,
                 const std::vector<std::size_t>& first, IntegerResult* results) const {
    LaneSites sites(lanes, w.states);
    const std::size_t begin = group * kLanes, end = std::min(batch.count, begin + kLanes);
    if (!n.every_step) {
      run_codes(n, batch, group, sites, w.panels);
      for (std::size_t i = begin; i < end; ++i) {
        results[i] = result(w, i % kLanes, batch.lengths[i]);
      }
      return;
    }
    run_codes(n, batch, group, sites, w.panels, [&](const Stretch& t, kernels::ConstRows h) {
      for (std::size_t step = 0; step < t.steps; ++step) {
        sum_step(h, step, w.sums);
        for (std::size_t i = begin; i < end; ++i) {
          if (t.start + step >= batch.lengths[i]) continue;
          const std::int64_t* sums = w.sums.data() + (i - begin) * n.outputs;
          results[first[i] + t.start + step] = scored(n, {sums, n.outputs}, 1);
        }
      }
    });
  }

  // Sums of the decoder for each step of a range, [16][outputs]. They stay below 2^48, and doubles
  // are faster than 64-bit products.
  void sum_step(kernels::ConstRows h, std::size_t step, std::vector<std::int64_t>& sums) const {
    sums.resize(kLanes * n.outputs);
    for (std::size_t k = 0; k < n.outputs; ++k) {
      std::array<double, kLanes> of_lanes;
      of_lanes.fill(static_cast<double>(n.decoder.bias[k]));
      for (std::size_t r = 0; r < n.channels; ++r) {
        const double weight = n.decoder.weight[k * n.channels + r];
        const float* const codes = h.row(r) + step * kLanes;
        for (std::size_t i = 0; i < kLanes; ++i) of_lanes[i] += weight * codes[i];
      }
      for (std::size_t i = 0; i < kLanes; ++i) {
        sums[i * n.outputs + k] = static_cast<std::int64_t>(of_lanes[i]);
      }
    }
  }

  IntegerResult result(const Work& w, std::size_t lane, std::uint32_t length) const {
    std::vector<std::int64_t> sums;
    for (std::size_t k = 0; k < n.outputs; ++k) {
      std::int64_t sum = (n.pool_last ? 1 : std::int64_t{length}) * n.decoder.bias[k];
      for (std::size_t h = 0; h < n.channels; ++h) {
        sum += n.decoder.weight[k * n.channels + h] * w.panels.pooled[h * kLanes + lane];
      }
      sums.push_back(sum);
    }
    return scored(n, sums, length);
  }

  // Runs sequence i of a batch by the reference executor.
  std::vector<IntegerResult> run_reference(const data::Batch& batch, std::size_t i) const {
    const std::size_t group = i / kLanes, lane = i % kLanes, length = batch.lengths[i];
    std::vector<float> values(length * n.inputs);
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t c = 0; c < n.inputs; ++c) {
        values[t * n.inputs + c] = batch.group(group)[batch.offset(c, t, lane)];
      }
    }
    return ReferenceExecutor(n).read(values, length);
  }
};

IntegerEngine::IntegerEngine(const IntegerNetwork& network)
    : inside_(std::make_unique<Inside>(network)) {}
IntegerEngine::~IntegerEngine() = default;
IntegerEngine::IntegerEngine(IntegerEngine&&) noexcept = default;

bool IntegerEngine::vectorised() const { return inside_->exact; }

std::vector<IntegerResult> IntegerEngine::run(const data::Batch& batch, ThreadPool& pool) const {
  const Inside& in = *inside_;
  if (batch.channels != in.n.inputs) {
    fail("batch", std::to_string(batch.channels) + " channels, but the network has " +
                      std::to_string(in.n.inputs) + " inputs");
  }
  require_length(in.n, batch.length, "integer network", "a sequence");
  const std::vector<std::size_t> first = data::first_reads(batch, in.n.scope());
  std::vector<IntegerResult> results(first.back());
  if (!in.exact) {
    pool.parallel_for(batch.count, [&](std::size_t i, int) {
      std::ranges::move(in.run_reference(batch, i),
                        results.begin() + static_cast<std::ptrdiff_t>(first[i]));
    });
    return results;
  }
  std::vector<Work> work(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    in.run_group(batch, g, work[static_cast<std::size_t>(worker)], first, results.data());
  });
  return results;
}

}  // namespace crosstate::integer
