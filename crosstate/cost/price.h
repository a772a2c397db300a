// The cost of a saved model on a target, whichever kind of network and of target it is.
#pragma once

#include <cstdint>

#include "crosstate/cost/deployment.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/technology.h"
#include "crosstate/inference/model.h"

namespace crosstate {

/// With batch norms folded.
Deployment deployment(const Model& model);

/// Energy, latency and area of sequences of `steps` time steps. Throws Error like estimate() and
/// estimate_on_crossbars().
Estimate price(const Model& model, const Technology& target, std::uint64_t steps,
               const CrossbarOptions& crossbar = {});

}  // namespace crosstate
