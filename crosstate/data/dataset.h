// Sequences in memory with their targets: produced by every reader and used by every stage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crosstate/task/task.h"

namespace crosstate::data {

/// `count` sequences of up to `length` time steps with `channels` values each, row-major (sequence,
/// time, channel), zero-padded after the end of each sequence.
struct Dataset {
  std::string name;  // "mnist-sample test"
  std::size_t count = 0;
  std::size_t length = 0;  // time steps of the longest sequence
  std::size_t channels = 1;
  std::size_t rows = 0;       // of images whose pixels are the time steps, row by row; else 0
  std::vector<float> values;  // count * length * channels
  // [count][readout.targets(length)][readout.width()], kNotCounted after the end of each sequence.
  std::vector<float> targets;
  std::vector<std::uint32_t> lengths;  // count, each in [1, length]; empty: all have `length`
  task::Readout readout;               // kind of the targets
  std::vector<std::string> speakers;   // count, empty names where unknown; empty: all unknown
  // What was left out or assumed when the set was read, one line each.
  std::vector<std::string> notes;

  std::span<const float> sequence(std::size_t i) const {
    return {values.data() + i * length * channels, length * channels};
  }
  std::size_t length_of(std::size_t i) const { return lengths.empty() ? length : lengths[i]; }
  std::size_t targets_of(std::size_t i) const { return readout.targets(length_of(i)); }
  /// Target k of a sequence: that of step k, or with k = 0 that of the whole sequence.
  std::span<const float> target(std::size_t i, std::size_t k = 0) const {
    const std::size_t width = readout.width();
    return std::span(targets).subspan((i * readout.targets(length) + k) * width, width);
  }
  /// The targets that count, concatenated.
  std::vector<float> counted_targets() const;
  /// Throws Error naming the set if no target counts, so that it has neither metrics nor a loss.
  void require_any_target() const;

  /// Throws Error naming the set, the index and the value for an invalid target, a length out of
  /// range, a size that does not match, rows of different lengths, NaN, infinity, or padding that
  /// is not zero.
  void validate() const;
};

/// The parts of a data set in memory, which have the same channels and outputs. Without a
/// validation part, one is held out of the training set as usual; without a test part, nothing is
/// tested.
struct DataSets {
  Dataset train, validation, test;
};

/// CRC-32 of values, targets, lengths and names of outputs; distinguishes sets of the same size.
std::uint32_t checksum(const Dataset& set);

/// The rows `order[...]` of a set, in that order.
Dataset select(const Dataset& set, std::span<const std::uint32_t> order, std::string name);

/// The first `limit` sequences of a set; the whole set if `limit` is 0 or exceeds its size.
Dataset first(Dataset set, std::size_t limit);

/// A balanced split of the rows with these labels into (rest, held out), both ascending. About
/// `share` of each class is held out, chosen by the seed. If share > 0, each part has at least one
/// row of every class that has two. Throws Error (with `where`) unless 0 <= share < 1 and every
/// label is in [0, classes).
struct RowSplit {
  std::vector<std::uint32_t> train, validation;
};
RowSplit split_rows(std::span<const std::int32_t> labels, std::size_t classes, double share,
                    std::uint64_t seed, const std::string& where);

/// The two parts of a set by split_rows(), balanced by Task::strata(); sequences with a target at
/// every step are drawn without regard to their targets.
struct Split {
  Dataset train, validation;
};
Split split_validation(const Dataset& set, double share, std::uint64_t seed);

/// Permutes the time steps of every sequence, with their targets, in the same way: step t becomes
/// the former step p[t], where p is shuffled() of `length` integers with this seed, epoch 0. Images
/// have no rows afterwards. The algorithm is part of the meaning of a seed and never changes.
/// Throws Error for sequences of different lengths.
void permute_steps(Dataset& set, std::uint64_t seed);

}  // namespace crosstate::data
