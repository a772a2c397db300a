// The state of a training stage between two epochs, in one file.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/identity.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/train/epoch_log.h"

namespace crosstate::train {

/// In the file, tensors and metadata of the network keep their names; those of the best epoch begin
/// with "best.", those of the moving average with "average.", those of the optimiser with
/// "optimizer.", and those of the trainer with "train.".
struct TrainCheckpoint {
  nlohmann::json identity;        // what a resumed run must share; see require_same()
  std::vector<EpochLog> history;  // of all completed epochs
  int best_epoch = 0;
  formats::Safetensors network, best, optimizer;
  formats::Safetensors average;  // empty if no average is kept
};

/// Writes and reads the bytes of a checkpoint file; `where` names the file in errors. Throws
/// CannotContinue for a damaged file.
std::string format_checkpoint(const TrainCheckpoint& checkpoint);
TrainCheckpoint parse_checkpoint(const std::string& bytes, const std::string& where);

void write_checkpoint(const std::filesystem::path& path, const TrainCheckpoint& checkpoint);
/// Throws CannotContinue naming the file and the missing or inconsistent entry, and Error for a
/// file that cannot be read.
TrainCheckpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace crosstate::train
