// Sequences regrouped for the kernels: groups of sixteen sequences, with time divided into blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/data/dataset.h"

namespace crosstate::data {

/// Offset of a value within its group, in floats. The values of a group are laid out as
/// [block][channel][t within block][lane]. A block has `block_length` steps; the last one has the
/// remainder of `length`. The block that starts at step t0 begins at float t0 * channels * kLanes.
inline std::size_t panel_offset(std::size_t channel, std::size_t t, std::size_t lane,
                                std::size_t length, std::size_t channels,
                                std::size_t block_length) {
  const std::size_t t0 = t - t % block_length;
  const std::size_t block = std::min(block_length, length - t0);
  return (t0 * channels + channel * block + (t - t0)) * kLanes + lane;
}

/// Some rows of a Dataset as groups of kLanes sequences in panel layout.
struct Batch {
  std::size_t groups = 0;
  std::size_t length = 0;  // of the longest sequence in the batch
  std::size_t channels = 0;
  std::size_t block_length = 0;
  AlignedFloats values;  // groups * group_size(); padding lanes are zero
  // [groups * kLanes][readout.targets(length)][readout.width()], as Dataset::targets; padding lanes
  // are zero.
  std::vector<float> targets;
  std::vector<std::uint32_t> lengths;  // groups * kLanes, 0 for padding lanes
  std::size_t count = 0;               // real sequences; they fill the lanes in order
  task::Readout readout;               // kind of the targets

  /// Floats per group.
  std::size_t group_size() const { return length * channels * kLanes; }
  std::span<const float> group(std::size_t g) const {
    return {values.data() + g * group_size(), group_size()};
  }
  std::size_t targets_of(std::size_t sequence) const { return readout.targets(lengths[sequence]); }
  /// See Dataset::target().
  std::span<const float> target(std::size_t sequence, std::size_t k = 0) const {
    const std::size_t width = readout.width();
    return std::span(targets).subspan((sequence * readout.targets(length) + k) * width, width);
  }
  std::size_t offset(std::size_t channel, std::size_t t, std::size_t lane) const {
    return panel_offset(channel, t, lane, length, channels, block_length);
  }
};

/// Fills the batch with the rows `order[...]` of a set, in that order, up to the length of the
/// longest of them; reuses the memory of the batch. Throws Error for a row outside the set or a
/// block length of 0.
void fill_batch(const Dataset& set, std::span<const std::uint32_t> order, std::size_t block_length,
                Batch& batch);

/// Index of the first read-out of each sequence in the list of all read-outs of the batch, without
/// padding, followed by the size of that list; [count + 1].
std::vector<std::size_t> first_reads(const Batch& batch, task::Scope scope);

/// The integers [0, count) in the random order of one epoch.
std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed, std::uint32_t epoch);

/// The rows of a set in the order of one training epoch, for batches of size `batch`. If all
/// lengths are equal, this is shuffled(). Otherwise sequences of similar length share a batch,
/// which keeps padding small: the shuffled rows are sorted by length within stretches of eight
/// batches, and the full batches are shuffled.
std::vector<std::uint32_t> training_order(const Dataset& set, std::size_t batch, std::uint64_t seed,
                                          std::uint32_t epoch);

/// The rows of a set by ascending length, rows of equal length in the order of the set; for
/// evaluation, where the order does not matter.
std::vector<std::uint32_t> length_order(const Dataset& set);

}  // namespace crosstate::data
