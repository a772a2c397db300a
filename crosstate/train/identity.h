// What a run that continues from a checkpoint must share with the one that wrote it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "crosstate/train/trainer.h"

namespace crosstate {

/// Of the bytes of all tensors: tells apart networks of the same shapes.
std::uint32_t checksum(const Network& network);

/// Options, seed, stages, checksums of the sets and the teacher, shapes of the parameters.
nlohmann::json run_identity(const Network& network, const Dataset& training,
                            const Dataset& validation, const TrainOptions& options,
                            const TrainContext& context);

}  // namespace crosstate
