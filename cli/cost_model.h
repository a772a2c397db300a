// The models that crosstate cost looks at, and what each costs on a target.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/neurobench.h"
#include "crosstate/cost/peers.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/report/report.h"

namespace crosstate::cli {

struct CostOptions {
  int steps = 0;
  int samples = 20;
  std::string float_target = "accelerator-45nm";
};
void fields(FieldList& list, CostOptions& options);

struct CostModel {
  std::string file;
  std::optional<model::Network> network;            // batch norms folded
  std::optional<integer::IntegerNetwork> integers;  // of its file, or what it converts to
  cost::Deployment deployment;
  std::uint64_t parameters = 0;  // trained; of an older integer file its weights and biases
  std::uint64_t steps = 0;
  cost::MemorySummary memory;
  cost::OperationSummary operations;
  cost::NeuroBenchMetrics neurobench;
};

/// Counts a model. A sequence has as many steps as the options say, or as the longest of the test
/// set of `data`; there the activity is measured where the network is in integers.
CostModel load_cost_model(const std::string& file, const CostOptions& options,
                          const data::DataOptions& data);

/// One target and what every model costs on it.
struct TargetCost {
  cost::Technology technology;
  std::vector<cost::Estimate> estimates;  // of a network in floating point, on the float target
};
TargetCost estimate_all(const std::vector<CostModel>& models, const cost::Technology& target,
                        const cost::Technology& float_target,
                        const crossbar::CrossbarOptions& crossbar);

/// Numbers of B over A: counts, and of costs their ranges.
nlohmann::json comparison(const CostModel& a, const CostModel& b);

/// The same for energy, latency and area.
struct CostRatios {
  cost::Range energy, latency, area;
};
CostRatios ratios(const TargetCost& target, const std::vector<CostModel>& models, std::size_t of);

std::vector<report::Table> count_tables(const std::vector<CostModel>& models);
report::Table target_table(const TargetCost& target, const std::vector<CostModel>& models);
report::Table source_table(const cost::Technology& technology);
/// With the energy of the peers on a target that peer_target() gives.
report::Table peer_table(const CostModel& model, const std::vector<cost::PeerCost>& peers,
                         const cost::Technology& target);
/// The first target on which the peers can run, or the float target.
const cost::Technology& peer_target(const std::vector<TargetCost>& targets,
                                    const std::vector<cost::PeerCost>& peers,
                                    const cost::Technology& float_target);
cost::Estimate estimate_peer(const cost::PeerCost& peer, std::uint64_t steps,
                             const cost::Technology& target);
/// Lengths at which memory is compared.
std::vector<std::uint64_t> lengths_of(const CostModel& model);
report::Report cost_report(const std::vector<CostModel>& models,
                           const std::vector<TargetCost>& targets,
                           const std::vector<cost::PeerCost>& peers,
                           const cost::Technology& peer_technology);

}  // namespace crosstate::cli
