// What of a network stays when the rest is pruned.
#pragma once

#include <cstddef>
#include <vector>

#include "crosstate/model/network.h"

namespace crosstate::model {

/// The parts that Network::part() keeps, counted in the network as it is, ascending.
struct NetworkParts {
  struct Block {
    std::vector<std::size_t> channels;  // positions in the block's shape
    std::vector<std::size_t> modes;     // of all channels, also of those that go
  };
  std::vector<std::size_t> stream;  // channels of the residual stream
  std::vector<Block> blocks;

  /// Everything.
  static NetworkParts of(const Network& network);
};

}  // namespace crosstate::model
