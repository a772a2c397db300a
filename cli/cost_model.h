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
  std::optional<Network> network;          // batch norms folded
  std::optional<IntegerNetwork> integers;  // of its file, or what it converts to
  Deployment deployment;
  std::uint64_t parameters = 0;  // trained; of an older integer file its weights and biases
  std::uint64_t steps = 0;
  MemorySummary memory;
  OperationSummary operations;
  NeuroBenchMetrics neurobench;
};

/// Counts a model. A sequence has as many steps as the options say, or as the longest of the test
/// set of `data`; there the activity is measured where the network is in whole numbers.
CostModel load_cost_model(const std::string& file, const CostOptions& options,
                          const DataOptions& data);

/// One target and what every model costs on it.
struct TargetCost {
  Technology technology;
  std::vector<Estimate> estimates;  // of a network in floating point, on the float target
};
TargetCost estimate_all(const std::vector<CostModel>& models, const Technology& target,
                        const Technology& float_target, const CrossbarOptions& crossbar);

/// Numbers of B over A: counts, and of costs their ranges.
nlohmann::json comparison(const CostModel& a, const CostModel& b);

/// The same for energy, latency and area.
struct CostRatios {
  Range energy, latency, area;
};
CostRatios ratios(const TargetCost& target, const std::vector<CostModel>& models, std::size_t of);

std::vector<Table> count_tables(const std::vector<CostModel>& models);
Table target_table(const TargetCost& target, const std::vector<CostModel>& models);
Table source_table(const Technology& technology);
/// With the energy of the peers on a target that peer_target() gives.
Table peer_table(const CostModel& model, const std::vector<PeerCost>& peers,
                 const Technology& target);
/// The first target on which the peers can run, or the float target.
const Technology& peer_target(const std::vector<TargetCost>& targets,
                              const std::vector<PeerCost>& peers, const Technology& float_target);
Estimate estimate_peer(const PeerCost& peer, std::uint64_t steps, const Technology& target);
/// Lengths at which memory is compared.
std::vector<std::uint64_t> lengths_of(const CostModel& model);
Report cost_report(const std::vector<CostModel>& models, const std::vector<TargetCost>& targets,
                   const std::vector<PeerCost>& peers, const Technology& peer_technology);

}  // namespace crosstate::cli
