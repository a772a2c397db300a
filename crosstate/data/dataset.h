// Sequences with their targets in memory: what every reader produces and every stage consumes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crosstate/task/task.h"

namespace crosstate::data {

/// count sequences of up to `length` time steps with `channels` values each, row-major
/// (sequence, time, channel), padded with zeros behind each sequence's own length.
struct Dataset {
  std::string name;  // "mnist-sample test"
  std::size_t count = 0;
  std::size_t length = 0;  // time steps of the longest sequence
  std::size_t channels = 1;
  std::vector<float> values;           // count * length * channels
  std::vector<float> targets;          // count * readout.width()
  std::vector<std::uint32_t> lengths;  // count, each in [1, length]; empty: all have `length`
  task::Readout readout;               // what the targets are
  std::vector<std::string> speakers;   // count, empty names where unknown; empty: all unknown
  // What was left out or assumed when the set was read, a line each; for whoever reads the set.
  std::vector<std::string> notes;

  std::span<const float> sequence(std::size_t i) const {
    return {values.data() + i * length * channels, length * channels};
  }
  std::size_t length_of(std::size_t i) const { return lengths.empty() ? length : lengths[i]; }
  std::span<const float> target(std::size_t i) const {
    return std::span(targets).subspan(i * readout.width(), readout.width());
  }

  /// Throws Error naming the set, the index and the value for a target that is none, a length out
  /// of range, a size that does not match, a NaN, an infinity, or padding that is not zero.
  void validate() const;
};

/// CRC-32 of values, targets, lengths and names of outputs: tells two sets of one size apart.
std::uint32_t checksum(const Dataset& set);

/// The rows `order[...]` of a set, in that order.
Dataset select(const Dataset& set, std::span<const std::uint32_t> order, std::string name);

/// The first `limit` sequences of a set; 0 or more than there are: the set itself.
Dataset first(Dataset set, std::size_t limit);

/// A balanced split of the rows with these labels into (rest, held out), both ascending: about
/// `share` of each class is held out, chosen by the seed. For a share above 0, either part
/// has at least one row of every class that has two. Throws Error (with `where`) unless
/// 0 <= share < 1 and every label is in [0, classes).
struct RowSplit {
  std::vector<std::uint32_t> train, validation;
};
RowSplit split_rows(std::span<const std::int32_t> labels, std::size_t classes, double share,
                    std::uint64_t seed, const std::string& where);

/// The two parts of a set by split_rows(), balanced by Task::strata().
struct Split {
  Dataset train, validation;
};
Split split_validation(const Dataset& set, double share, std::uint64_t seed);

/// Puts the time steps of every sequence into one order: step t becomes what was step p[t], where p
/// is shuffled() of `length` numbers by the seed, epoch 0. The algorithm is part of what a seed
/// means and never changes. Throws Error for sequences of different lengths.
void permute_steps(Dataset& set, std::uint64_t seed);

}  // namespace crosstate::data
