// What a resumed run must share with the run that wrote the checkpoint.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "crosstate/train/trainer.h"

namespace crosstate::train {

/// Checksum of names, types, shapes, bytes and metadata.
std::uint32_t checksum(const formats::Safetensors& content);
/// Checksum of the contents of the network's file.
std::uint32_t checksum(const model::Network& network);

/// Identity of a data set's contents: sizes and checksum, not its name.
nlohmann::json data_identity(const data::Dataset& set);

/// Options, seed, stages, checksums of the sets and of the teacher, shapes of the parameters.
nlohmann::json run_identity(const model::Network& network, const data::Dataset& training,
                            const data::Dataset& validation, const TrainOptions& options,
                            const TrainContext& context);

/// Settings of a run by section, as an earlier version may have stored them: without those that had
/// no effect and are gone, and with those of `expected` that are new, at the values by which a run
/// is what it was.
nlohmann::json in_this_version(nlohmann::json config, const nlohmann::json& expected);
/// The reverse for the settings that are new: `config` without those that have these values, as the
/// text from which names of files are hashed.
nlohmann::json as_before(nlohmann::json config);

/// require_same() for run identities, naming settings of [train] or, after the float stage, [qat].
void require_same_run(const nlohmann::json& found, const nlohmann::json& expected,
                      const std::string& where);

}  // namespace crosstate::train
