// What a run that continues from a checkpoint must share with the one that wrote it.
#pragma once

#include <nlohmann/json.hpp>

#include "crosstate/train/trainer.h"

namespace crosstate {

/// Options, seed, stages, checksums of the sets and the teacher, shapes of the parameters.
nlohmann::json run_identity(const Network& network, const Dataset& training,
                            const Dataset& validation, const TrainOptions& options,
                            const TrainContext& context);

}  // namespace crosstate
