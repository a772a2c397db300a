// Checkpoints of training, as --resume reads them.
#include "crosstate/train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "crosstate/model/network.h"
#include "crosstate/train/adamw.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const std::string where = "fuzz.safetensors";
  const TrainCheckpoint checkpoint = parse_checkpoint(bytes, where);
  const std::string written = format_checkpoint(checkpoint);
  require(format_checkpoint(parse_checkpoint(written, where)) == written,
          "a checkpoint that reads back");
  require_same(checkpoint.identity, checkpoint.identity, where);
  // A run of another kind, which the message tells from this one.
  if (!checkpoint.identity.contains("seed")) {
    require_same(checkpoint.identity, {{"seed", 1}}, where);
  }
  const Network network = Network::from_tensors(checkpoint.network, where);
  Network::from_tensors(checkpoint.best, where);
  AdamW(network.parameters(), {}).load(network.parameters(), checkpoint.optimizer, where);
}
