// crosstate/cost: memory, operations, energy, latency and area.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/cost/arrays.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/neurobench.h"
#include "crosstate/cost/operations.h"
#include "crosstate/cost/peers.h"
#include "crosstate/cost/price.h"
#include "crosstate/cost/same_node.h"
#include "crosstate/inference/model.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

using nlohmann::json;

json sites_of(const cost::MemorySummary& memory) {
  json sites = json::array();
  for (const cost::MemorySite& site : memory.sites) {
    sites.push_back({{"site", site.name},
                     {"kind", name_of(site.kind)},
                     {"values", site.values},
                     {"bits", site.bits},
                     {"bytes", site.bytes()}});
  }
  return sites;
}

// What does not depend on the hardware.
std::string count(const inference::Model& model, std::uint64_t steps) {
  json out;
  {
    const nb::gil_scoped_release release;
    const inference::Model folded = model.folded();
    const cost::Deployment deployment = cost::deployment(folded);
    const cost::MemorySummary memory = cost::count_memory(deployment);
    const cost::NeuroBenchMetrics neurobench =
        folded.network() != nullptr ? cost::neurobench_metrics(*folded.network(), steps)
                                    : cost::neurobench_metrics(folded.integers(), steps);
    const std::size_t weights = deployment.weights() + deployment.biases();
    out = {{"weights_and_biases", weights},
           {"memory_bytes", cost::to_json(memory)},
           {"memory_sites", sites_of(memory)},
           {"peak_ram_bytes", cost::peak_ram(deployment)},
           {"operations", cost::to_json(cost::count_operations(deployment, steps), steps)},
           {"neurobench", cost::to_json(neurobench)}};
  }
  return json_text(out);
}

// Settings of section "cost" that decide an estimate.
std::vector<std::string> estimate_settings() {
  cost::EstimateOptions options;
  FieldList list;
  cost::fields(list, options);
  std::vector<std::string> keys;
  for (const Field& field : list.all()) keys.push_back(field.key);
  return keys;
}

// With `same_node`, or a rate above 0, also on an accelerator at the node of the crossbars.
std::string price(const inference::Model& model, const std::string& target, std::uint64_t steps,
                  const Settings& settings, bool same_node, double rate) {
  const std::string user = "crosstate.cost";
  Settings of_cost, of_crossbars;
  for (const auto& setting : settings) {
    (setting.first.starts_with("cost.") ? of_cost : of_crossbars).push_back(setting);
  }
  const pipeline::RunOptions options =
      run_options(of_crossbars,
                  {"crossbar.spare_columns", "crossbar.recurrence", "crossbar.encoding",
                   "crossbar.packing", "crossbar.driven", "crossbar.slices", "crossbar.slice_base",
                   "crossbar.drive_halvings", "crossbar.compensation", "crossbar.digital"},
                  user);
  cost::EstimateOptions choice;
  FieldList list;
  cost::fields(list, choice);
  apply(list, of_cost, {}, user);
  json out;
  {
    const nb::gil_scoped_release release;
    const cost::Technology found = cost::find_technology(target);
    const bool crossbars = found.kind == cost::TargetKind::kCrossbar;
    const cost::Technology technology = crossbars ? cost::with_arrays(found, choice) : found;
    if ((same_node || rate > 0) && !crossbars) {
      fail(user, "same_node and rate compare crossbars, but target is " + found.name);
    }
    const cost::Estimate estimate =
        cost::price(model, found, steps, options.target.crossbar, choice);
    out["estimate"] = cost::to_json(estimate, static_cast<double>(steps));
    out["estimate"]["technology"] = cost::to_json(technology);
    if (same_node || rate > 0) {
      const cost::Deployment sizes = cost::deployment(model);
      const cost::SameNode digital = cost::estimate_at_node(
          sizes, cost::count_operations(sizes, steps), steps,
          cost::find_technology("accelerator-45nm"), technology.node, choice);
      out["same_node"] = cost::to_json(digital, estimate, steps, rate);
    }
  }
  return json_text(out);
}

std::string peers(std::uint64_t parameters, std::uint64_t inputs, std::uint64_t outputs,
                  std::uint64_t steps, int bits) {
  cost::PeerOptions options;
  options.bits = bits;
  json out = json::array();
  for (const cost::PeerCost& peer : cost::peer_costs(options, parameters, inputs, outputs)) {
    out.push_back(cost::to_json(peer, {steps}));
  }
  return json_text(out);
}

}  // namespace

void bind_cost(nb::module_& m) {
  m.def("technologies", &cost::shipped_technologies);
  m.def("count", &count, "model"_a, "steps"_a);
  m.def("estimate_settings", &estimate_settings);
  m.def("price", &price, "model"_a, "target"_a, "steps"_a, "settings"_a, "same_node"_a, "rate"_a);
  m.def("peers", &peers, "parameters"_a, "inputs"_a, "outputs"_a, "steps"_a, "bits"_a);
}

}  // namespace crosstate::python
