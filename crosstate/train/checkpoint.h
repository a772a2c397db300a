// A stage of training between two epochs, in one file.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/identity.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/train/epoch_log.h"

namespace crosstate::train {

/// In the file the network's tensors and metadata keep their names; those of the best epoch begin
/// with "best.", those of the moving average with "average.", those of the optimiser with
/// "optimizer.", and what the trainer knows with "train.".
struct TrainCheckpoint {
  nlohmann::json identity;        // what a run that continues must share; see require_same()
  std::vector<EpochLog> history;  // of all epochs so far
  int best_epoch = 0;
  formats::Safetensors network, best, optimizer;
  formats::Safetensors average;  // empty without one
};

/// The bytes of a checkpoint's file, and back; `where` names the file in errors. Throws
/// CannotContinue for what is damaged.
std::string format_checkpoint(const TrainCheckpoint& checkpoint);
TrainCheckpoint parse_checkpoint(const std::string& bytes, const std::string& where);

void write_checkpoint(const std::filesystem::path& path, const TrainCheckpoint& checkpoint);
/// Throws CannotContinue naming the file and what in it is missing or contradicts itself, and Error
/// for a file that cannot be read.
TrainCheckpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace crosstate::train
