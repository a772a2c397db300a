// The parts of a network that remain after pruning.
#pragma once

#include <cstddef>
#include <vector>

#include "crosstate/model/network.h"

namespace crosstate::model {

/// The parts that Network::part() keeps, as ascending indices in the present network.
struct NetworkParts {
  struct Block {
    std::vector<std::size_t> channels;  // positions in the block's shape
    std::vector<std::size_t> modes;     // of all channels, including those that are removed
  };
  std::vector<std::size_t> stream;  // channels of the residual stream
  std::vector<Block> blocks;

  /// All parts of a network.
  static NetworkParts of(const Network& network);
};

}  // namespace crosstate::model
