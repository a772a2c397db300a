// Cost of a saved model on a target, for every kind of network and target.
#pragma once

#include <cstdint>

#include "crosstate/cost/deployment.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/technology.h"
#include "crosstate/inference/model.h"

namespace crosstate::cost {

/// With batch norms folded.
Deployment deployment(const inference::Model& model);

/// Energy, latency and area of sequences of `steps` time steps. Throws Error like estimate() and
/// estimate_on_crossbars(), which takes the other arguments.
Estimate price(const inference::Model& model, const Technology& target, std::uint64_t steps,
               const crossbar::CrossbarOptions& crossbar = {}, const EstimateOptions& options = {},
               const Technology* accelerator = nullptr);

}  // namespace crosstate::cost
