// Remaining modes and channels of the recurrence of a pruned block.
#pragma once

#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/formats/safetensors.h"

namespace crosstate::model {

/// The channels of the residual stream that have a recurrence in a block, ascending, and the number
/// of modes of each. Arrays by channel have one entry for each of these S channels; arrays by mode
/// are concatenated over channels and have N entries. A channel may have no modes (only its D
/// remains); a channel that is not listed does not contribute to the pointwise layer of the block.
struct BlockShape {
  std::vector<std::size_t> channels;  // [S]
  std::vector<std::size_t> first;     // [S + 1]: number of modes of all previous channels

  BlockShape() : first{0} {}
  BlockShape(std::vector<std::size_t> of_stream, const std::vector<std::size_t>& modes)
      : channels(std::move(of_stream)), first{0} {
    for (const std::size_t count : modes) first.push_back(first.back() + count);
  }
  /// Every channel of the stream with the same number of modes.
  static BlockShape whole(std::size_t stream, std::size_t modes) {
    std::vector<std::size_t> all(stream);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return {std::move(all), std::vector<std::size_t>(stream, modes)};
  }

  std::size_t size() const { return channels.size(); }
  std::size_t modes() const { return first.back(); }
  std::size_t modes(std::size_t s) const { return first[s + 1] - first[s]; }
  std::vector<std::size_t> counts() const;  // [S]
  bool every_channel(std::size_t stream) const { return size() == stream; }
  bool operator==(const BlockShape&) const = default;
};

/// Stores the shape as tensors `at`channels and `at`modes (I32, [S]) if it differs from `whole`:
/// none for a whole block, the first only if channels are missing.
void save_shape(const BlockShape& shape, const BlockShape& whole, const std::string& at,
                formats::Safetensors& out);
/// Throws Error naming the invalid tensor: channels that do not ascend or are outside the stream,
/// more modes than `whole` has, no modes at all.
BlockShape load_shape(const formats::Safetensors& content, const BlockShape& whole,
                      const std::string& at, const std::string& where);

}  // namespace crosstate::model
