// Labelled sequences in memory: what every reader produces and every stage consumes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crosstate {

/// count sequences of up to `length` time steps with `channels` values each, row-major
/// (sequence, time, channel), padded with zeros behind each sequence's own length.
struct Dataset {
  std::string name;  // "mnist-sample test"
  std::size_t count = 0;
  std::size_t length = 0;  // time steps of the longest sequence
  std::size_t channels = 1;
  std::vector<float> values;           // count * length * channels
  std::vector<std::int32_t> labels;    // count, each in [0, classes.size())
  std::vector<std::uint32_t> lengths;  // count, each in [1, length]; empty: all have `length`
  std::vector<std::string> classes;    // names by label

  std::span<const float> sequence(std::size_t i) const {
    return {values.data() + i * length * channels, length * channels};
  }
  std::size_t length_of(std::size_t i) const { return lengths.empty() ? length : lengths[i]; }

  /// Throws Error naming the set, the index and the value for a label out of range, a length out of
  /// range, a size that does not match, a NaN, an infinity, or padding that is not zero.
  void validate() const;
};

/// CRC-32 of values, labels and lengths: tells two sets of one size apart.
std::uint32_t checksum(const Dataset& set);

/// The rows `order[...]` of a set, in that order.
Dataset select(const Dataset& set, std::span<const std::uint32_t> order, std::string name);

/// A class-balanced split of `set` into (rest, held out), both in the set's order: about `share` of
/// each class is held out, chosen by the seed. For a share above 0, either part has at least one
/// sequence of every class that has two. Throws Error unless 0 <= share < 1.
struct Split {
  Dataset train, validation;
};
Split split_validation(const Dataset& set, double share, std::uint64_t seed);

}  // namespace crosstate
