// Crossbars against a digital accelerator at their node.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "crosstate/cost/energy.h"

namespace crosstate::cost {

/// A network on a digital accelerator that is scaled to a node (same_node()).
struct SameNode {
  Technology technology;
  Estimate sram, nonvolatile;  // by the memory of the weights
  /// Typical energy of a sequence in pJ, with energies that follow the node and its square.
  double linear = 0, square = 0;
};

/// Sequences of `steps` time steps. Throws Error like estimate() and same_node().
SameNode estimate_at_node(const Deployment& deployment, const OperationSummary& operations,
                          std::uint64_t steps, const Technology& accelerator, double node,
                          const EstimateOptions& options = {});

/// Energy of a sequence on crossbars over that on an accelerator. The digital sites of crossbars
/// share the constants of the accelerator; all others vary independently.
Range over_digital(const Estimate& crossbars, const Estimate& digital, std::uint64_t steps);

/// {"technology", "sram": estimate, "nonvolatile": estimate, "energy_linear_pj",
/// "energy_square_pj"} and, for an estimate of crossbars, "crossbars_over_sram",
/// "crossbars_over_nonvolatile" and "break_even_rate"; with a rate above 0 "at_rate", the energy of
/// a step of each of them that reaches it.
nlohmann::json to_json(const SameNode& digital, const std::optional<Estimate>& crossbars,
                       std::uint64_t steps, double rate);

}  // namespace crosstate::cost
