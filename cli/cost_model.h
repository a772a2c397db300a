// The models compared by `crosstate cost`, and their costs on each target.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/neurobench.h"
#include "crosstate/cost/peers.h"
#include "crosstate/cost/same_node.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/report/report.h"

namespace crosstate::cli {

struct CostOptions : cost::InferenceOptions {
  int samples = 20;
  std::string float_target = "accelerator-45nm";
  double rate = 0;
};
void fields(FieldList& list, CostOptions& options);

struct CostModel {
  std::string file;
  std::optional<model::Network> network;            // batch norms folded
  std::optional<integer::IntegerNetwork> integers;  // from its file, or converted
  cost::Deployment deployment;
  std::uint64_t parameters =
      0;  // trained parameters; for an integer file of an earlier version, its weights and biases
  std::uint64_t steps = 0;
  cost::MemorySummary memory;
  cost::OperationSummary operations;
  cost::NeuroBenchMetrics neurobench;
};

/// Counts a model. The length of a sequence is given by the options or by the longest sequence of
/// the test set of `data`, on which the activity of integer networks is measured.
CostModel load_cost_model(const std::string& file, const CostOptions& options,
                          const data::DataOptions& data);

/// One target and the cost of every model on it.
struct TargetCost {
  cost::Technology technology;
  std::vector<cost::Estimate> estimates;       // float networks on the float target
  std::vector<cost::SameNode> same_node = {};  // of every model; empty: not compared
};
TargetCost estimate_all(const std::vector<CostModel>& models, const cost::Technology& target,
                        const cost::Technology& float_target,
                        const crossbar::CrossbarOptions& crossbar,
                        const cost::EstimateOptions& options, const cost::Technology* accelerator);
/// Compares crossbars with `accelerator` scaled to their node; other targets are left alone.
void add_same_node(TargetCost& target, const std::vector<CostModel>& models,
                   const cost::Technology& accelerator, const cost::EstimateOptions& options);
/// Whether model `i` was priced on the crossbars themselves.
bool on_crossbars(const TargetCost& target, std::size_t i);
/// Ratios B / A: of counts, and the ranges of those of costs.
nlohmann::json comparison(const CostModel& a, const CostModel& b);

/// The same for energy, latency and area.
struct CostRatios {
  cost::Range energy, latency, area;
};
CostRatios ratios(const TargetCost& target, const std::vector<CostModel>& models, std::size_t of);

std::vector<report::Table> count_tables(const std::vector<CostModel>& models);
report::Table target_table(const TargetCost& target, const std::vector<CostModel>& models);
/// Crossbars against the accelerator at the same node, and both at `rate` time steps per second if
/// it is above 0. Both require target.same_node.
report::Table same_node_table(const TargetCost& target, const std::vector<CostModel>& models);
report::Table rate_table(const TargetCost& target, const std::vector<CostModel>& models,
                         double rate);
report::Table source_table(const cost::Technology& technology);
/// Includes the energy of the compared models on the target returned by peer_target().
report::Table peer_table(const CostModel& model, const std::vector<cost::PeerCost>& peers,
                         const cost::Technology& target);
/// The first target on which the compared models can run, or the float target.
const cost::Technology& peer_target(const std::vector<TargetCost>& targets,
                                    const std::vector<cost::PeerCost>& peers,
                                    const cost::Technology& float_target);
cost::Estimate estimate_peer(const cost::PeerCost& peer, std::uint64_t steps,
                             const cost::Technology& target);
/// Sequence lengths for which memory is compared.
std::vector<std::uint64_t> lengths_of(const CostModel& model);
report::Report cost_report(const std::vector<CostModel>& models,
                           const std::vector<TargetCost>& targets,
                           const std::vector<cost::PeerCost>& peers,
                           const cost::Technology& peer_technology, double rate);

}  // namespace crosstate::cli
