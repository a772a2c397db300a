#include "crosstate/cost/same_node.h"

#include <nlohmann/json.hpp>

#include "crosstate/cost/rate.h"

namespace crosstate::cost {

SameNode estimate_at_node(const Deployment& deployment, const OperationSummary& operations,
                          std::uint64_t steps, const Technology& accelerator, double node,
                          const EstimateOptions& options) {
  EstimateOptions sram = options, nonvolatile = options;
  sram.weights = WeightMemory::kSram;
  nonvolatile.weights = WeightMemory::kNonvolatile;
  SameNode out;
  out.technology = same_node(accelerator, node);
  out.sram = estimate(deployment, operations, out.technology, sram);
  out.nonvolatile = estimate(deployment, operations, out.technology, nonvolatile);
  const auto typical = [&](Scaling scaling) {
    return estimate(deployment, operations, same_node(accelerator, node, scaling), sram)
        .energy.total(static_cast<double>(steps))
        .typical;
  };
  out.linear = typical(Scaling::kLinear);
  out.square = typical(Scaling::kSquare);
  return out;
}

Range over_digital(const Estimate& crossbars, const Estimate& digital, std::uint64_t steps) {
  const auto count = static_cast<double>(steps);
  // Digital sites beside the arrays have the constants of the accelerator.
  CostList alone = digital.energy;
  for (CostTerm& term : alone.terms) term.what = kOfAccelerator + term.what;
  return ratio(crossbars.energy, alone, count, count, true);
}

nlohmann::json to_json(const SameNode& digital, const std::optional<Estimate>& crossbars,
                       std::uint64_t steps, double rate) {
  const auto count = static_cast<double>(steps);
  nlohmann::json out = {{"technology", to_json(digital.technology)},
                        {"sram", to_json(digital.sram, count)},
                        {"nonvolatile", to_json(digital.nonvolatile, count)},
                        {"energy_linear_pj", digital.linear},
                        {"energy_square_pj", digital.square}};
  if (crossbars) {
    out["crossbars_over_sram"] = to_json(over_digital(*crossbars, digital.sram, steps));
    out["crossbars_over_nonvolatile"] =
        to_json(over_digital(*crossbars, digital.nonvolatile, steps));
    out["break_even_rate"] = {
        {"sram", open_range_json(break_even_rate(*crossbars, digital.sram))},
        {"nonvolatile", open_range_json(break_even_rate(*crossbars, digital.nonvolatile))}};
  }
  if (rate <= 0) return out;
  const auto at = [&](const Estimate& e) {
    const double most = highest_rate(e);
    nlohmann::json one = {{"highest_rate", most}};
    if (rate <= most) one["energy_pj"] = to_json(energy_at_rate(e, rate));
    return one;
  };
  out["at_rate"] = {{"steps_per_second", rate},
                    {"sram", at(digital.sram)},
                    {"nonvolatile", at(digital.nonvolatile)}};
  if (crossbars) out["at_rate"]["crossbars"] = at(*crossbars);
  return out;
}

}  // namespace crosstate::cost
