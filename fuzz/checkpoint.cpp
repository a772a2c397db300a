// Training checkpoints, as read by --resume.
#include "crosstate/train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "crosstate/model/network.h"
#include "crosstate/train/adamw.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const std::string where = "fuzz.safetensors";
  const train::TrainCheckpoint checkpoint = train::parse_checkpoint(bytes, where);
  const std::string written = train::format_checkpoint(checkpoint);
  require(train::format_checkpoint(train::parse_checkpoint(written, where)) == written,
          "a checkpoint that reads back");
  require_same(checkpoint.identity, checkpoint.identity, where);
  // A run of another kind, so that the message describes the difference.
  if (!checkpoint.identity.contains("seed")) {
    require_same(checkpoint.identity, {{"seed", 1}}, where);
  }
  const model::Network network = model::Network::from_tensors(checkpoint.network, where);
  model::Network::from_tensors(checkpoint.best, where);
  train::AdamW(network.parameters(), {}).load(network.parameters(), checkpoint.optimizer, where);
}
