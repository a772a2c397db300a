#include "crosstate/integer/engine.h"

#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/code_panels.h"
#include "crosstate/integer/lane_sites.h"

namespace crosstate::integer {
namespace {

// Memory of one thread.
struct Work {
  CodeMemory panels;
  LaneStates states;
};

}  // namespace

struct IntegerEngine::Inside {
  IntegerNetwork n;
  bool exact;
  LaneNetwork lanes;

  explicit Inside(const IntegerNetwork& network)
      : n(network), exact(exact_in_float(network)), lanes(n) {}

  void run_group(const data::Batch& batch, std::size_t group, Work& w) const {
    LaneSites sites(lanes, w.states);
    run_codes(n, batch, group, sites, w.panels);
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

  // Sequence i of a batch by the reference.
  IntegerResult run_reference(const data::Batch& batch, std::size_t i) const {
    const std::size_t group = i / kLanes, lane = i % kLanes, length = batch.lengths[i];
    std::vector<float> values(length * n.inputs);
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t c = 0; c < n.inputs; ++c) {
        values[t * n.inputs + c] = batch.group(group)[batch.offset(c, t, lane)];
      }
    }
    return ReferenceExecutor(n).run(values, length);
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
  std::vector<IntegerResult> results(batch.count);
  if (!in.exact) {
    pool.parallel_for(batch.count,
                      [&](std::size_t i, int) { results[i] = in.run_reference(batch, i); });
    return results;
  }
  std::vector<Work> work(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    Work& w = work[static_cast<std::size_t>(worker)];
    in.run_group(batch, g, w);
    for (std::size_t i = g * kLanes; i < std::min(batch.count, (g + 1) * kLanes); ++i) {
      results[i] = in.result(w, i % kLanes, batch.lengths[i]);
    }
  });
  return results;
}

}  // namespace crosstate::integer
