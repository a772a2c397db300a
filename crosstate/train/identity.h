// What a run that continues from a checkpoint must share with the one that wrote it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "crosstate/train/trainer.h"

namespace crosstate::train {

/// Of names, types, shapes, bytes and metadata.
std::uint32_t checksum(const formats::Safetensors& content);
/// Of what its file would hold.
std::uint32_t checksum(const model::Network& network);

/// What a set holds: sizes and the checksum, not its name.
nlohmann::json data_identity(const data::Dataset& set);

/// Options, seed, stages, checksums of the sets and the teacher, shapes of the parameters.
nlohmann::json run_identity(const model::Network& network, const data::Dataset& training,
                            const data::Dataset& validation, const TrainOptions& options,
                            const TrainContext& context);

}  // namespace crosstate::train
