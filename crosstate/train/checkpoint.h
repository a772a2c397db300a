// A stage of training between two epochs, in one file.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/data/safetensors.h"
#include "crosstate/train/epoch_log.h"

namespace crosstate {

/// In the file the network's tensors and metadata keep their names; those of the best epoch begin
/// with "best.", those of the moving average with "average.", those of the optimiser with
/// "optimizer.", and what the trainer knows with "train.".
struct TrainCheckpoint {
  nlohmann::json identity;        // what a run that continues must share; see require_same()
  std::vector<EpochLog> history;  // of all epochs so far
  int best_epoch = 0;
  Safetensors network, best, optimizer;
  Safetensors average;  // empty without one
};

/// The bytes of a checkpoint's file, and back; `where` names the file in errors.
std::string format_checkpoint(const TrainCheckpoint& checkpoint);
TrainCheckpoint parse_checkpoint(const std::string& bytes, const std::string& where);

void write_checkpoint(const std::filesystem::path& path, const TrainCheckpoint& checkpoint);
/// Throws Error naming the file and what in it is missing or contradicts itself.
TrainCheckpoint read_checkpoint(const std::filesystem::path& path);

/// Throws Error (with `where`) that names the first value in which two identities differ.
void require_same(const nlohmann::json& found, const nlohmann::json& expected,
                  const std::string& where);

}  // namespace crosstate
