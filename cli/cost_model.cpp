#include "cli/cost_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/cost/arrays.h"
#include "crosstate/cost/price.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

// The test set that the options select; none if no data are named and the built-in sample is of
// another task.
std::optional<data::Dataset> fitting_set(const inference::Model& model,
                                         const data::DataOptions& options) {
  ThreadPool pool(1);
  try {
    data::Dataset set = pipeline::load_test_data(options, model.preparation(), model.name(), pool);
    model.require_fit(set, inference::ModelBackend::kFloat);
    say_notes(set);
    return set;
  } catch (const Error&) {
    if (options.directory.empty()) return std::nullopt;
    throw;
  }
}

std::size_t longest(const data::Dataset& set) {
  std::size_t steps = 0;
  for (std::size_t i = 0; i < set.count; ++i) steps = std::max(steps, set.length_of(i));
  return steps;
}

void read_model(CostModel& model, const inference::Model& saved) {
  const inference::Model folded = saved.folded();
  model.deployment = cost::deployment(folded);
  if (folded.not_integer().empty()) model.integers = folded.integers();
  if (folded.network() != nullptr) model.network = *folded.network();
  if (model.network) {
    model.parameters = saved.network()->parameter_count();
  } else if (model.integers->scheme) {
    model.parameters = model.integers->scheme->parameters;
  } else {
    model.parameters = model.deployment.weights() + model.deployment.biases();
  }
}

double quotient(std::uint64_t a, std::uint64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0;
}

}  // namespace

void fields(FieldList& list, CostOptions& options) {
  cost::fields(list, static_cast<cost::InferenceOptions&>(options));
  list.add("samples", options.samples,
           "Sequences on which activation sparsity is measured, unless data.test_limit is set.")
      .range(1, 1e6);
  list.add("float_target", options.float_target,
           "Target (name or file) that runs float networks if the main target cannot.");
  list.add("rate", options.rate,
           "Time steps per second; compares crossbars with digital accelerators that rest between "
           "steps. 0: no comparison.")
      .in("1/s")
      .range(0, 1e9);
}

CostModel load_cost_model(const std::string& file, const CostOptions& options,
                          const data::DataOptions& data) {
  CostModel model;
  model.file = file;
  const inference::Model saved = inference::Model::load(file);
  read_model(model, saved);
  const std::optional<data::Dataset> set = fitting_set(saved, data);
  model.steps = static_cast<std::uint64_t>(options.steps);
  if (model.steps == 0 && set) model.steps = longest(*set);
  if (model.steps == 0) {
    fail(file,
         "cost.steps = 0 and the built-in sample is of another task, expected --data or "
         "--set cost.steps=N");
  }
  model.memory = cost::count_memory(model.deployment);
  model.operations = cost::count_operations(model.deployment, model.steps);
  model.neurobench = model.network ? cost::neurobench_metrics(*model.network, model.steps)
                                   : cost::neurobench_metrics(*model.integers, model.steps);
  if (!set || !model.integers) return model;
  integer::require_length(*model.integers, *set, file);
  const std::size_t samples =
      data.test_limit > 0 ? set->count : static_cast<std::size_t>(options.samples);
  model.neurobench.activity = cost::measure_activity(*model.integers, *set, samples);
  return model;
}

TargetCost estimate_all(const std::vector<CostModel>& models, const cost::Technology& target,
                        const cost::Technology& float_target,
                        const crossbar::CrossbarOptions& crossbar,
                        const cost::EstimateOptions& options, const cost::Technology* accelerator) {
  TargetCost out;
  out.technology =
      target.kind == cost::TargetKind::kCrossbar ? cost::with_arrays(target, options) : target;
  for (const CostModel& m : models) {
    const bool elsewhere = !target.floats && m.deployment.in_floats();
    const cost::Technology& on = elsewhere ? float_target : out.technology;
    if (on.kind != cost::TargetKind::kCrossbar) {
      out.estimates.push_back(cost::estimate(m.deployment, m.operations, on, options));
      continue;
    }
    // No crossbar target supports float networks, so these are integer networks.
    out.estimates.push_back(
        cost::estimate_on_crossbars(*m.integers, m.steps, on, crossbar, options, accelerator));
  }
  return out;
}

void add_same_node(TargetCost& target, const std::vector<CostModel>& models,
                   const cost::Technology& accelerator, const cost::EstimateOptions& options) {
  if (target.technology.kind != cost::TargetKind::kCrossbar) return;
  for (const CostModel& m : models) {
    target.same_node.push_back(cost::estimate_at_node(
        m.deployment, m.operations, m.steps, accelerator, target.technology.node, options));
  }
}

bool on_crossbars(const TargetCost& target, std::size_t i) {
  return target.estimates[i].arrays > 0;
}

const cost::Technology& peer_target(const std::vector<TargetCost>& targets,
                                    const std::vector<cost::PeerCost>& peers,
                                    const cost::Technology& float_target) {
  for (const TargetCost& t : targets) {
    if (t.technology.kind == cost::TargetKind::kCrossbar) continue;
    if (t.technology.floats || !peers[0].in_floats()) return t.technology;
  }
  return float_target;
}

cost::Estimate estimate_peer(const cost::PeerCost& peer, std::uint64_t steps,
                             const cost::Technology& target) {
  const cost::MemoryBits memory{peer.memory_bits(steps),
                                8 * static_cast<double>(peer.state_bytes(steps))};
  return cost::estimate(peer.operations(steps), memory, peer.in_floats(), target);
}

json comparison(const CostModel& a, const CostModel& b) {
  const auto bits = [](const CostModel& m, cost::MemoryKind kind) { return m.memory.bits(kind); };
  return {{"model", b.file},
          {"over", a.file},
          {"weight_bits",
           quotient(bits(b, cost::MemoryKind::kWeights), bits(a, cost::MemoryKind::kWeights))},
          {"state_bits",
           quotient(bits(b, cost::MemoryKind::kState), bits(a, cost::MemoryKind::kState))},
          {"memory_bytes", quotient(b.memory.total(), a.memory.total())},
          {"macs", quotient(b.operations.per_inference(&cost::OperationSite::macs, b.steps),
                            a.operations.per_inference(&cost::OperationSite::macs, a.steps))},
          {"bit_operations",
           quotient(b.operations.bit_operations(b.steps), a.operations.bit_operations(a.steps))}};
}

CostRatios ratios(const TargetCost& target, const std::vector<CostModel>& models, std::size_t of) {
  const cost::Estimate &a = target.estimates[0], &b = target.estimates[of];
  const auto steps_a = static_cast<double>(models[0].steps);
  const auto steps_b = static_cast<double>(models[of].steps);
  const bool same = a.target == b.target;
  return {cost::ratio(b.energy, a.energy, steps_b, steps_a, same),
          cost::ratio(b.latency, a.latency, steps_b, steps_a, same),
          cost::ratio(b.area, a.area, 0, 0, same)};
}

}  // namespace crosstate::cli
