// What the choice of test sequences leaves uncertain: an interval for one share of right decisions,
// and a test for two of them on the same sequences.
#pragma once

#include <cstdint>
#include <string>

namespace crosstate::task {

struct Interval {
  double low = 0, high = 0;

  /// As percentages: "98.73 to 99.13".
  std::string text() const;
};

/// The share of right decisions among all independent ones of which `right` of `count` were right:
/// the interval that contains it with 95 % confidence, Wilson's score interval without continuity
/// correction (Journal of the American Statistical Association 22, 209-212, 1927). It stays within
/// [0, 1], also for shares of 0 and 1. [0, 1] without decisions.
Interval wilson(double right, double count);

/// Decisions of two networks on the same sequences.
struct PairedDecisions {
  std::uint64_t both = 0, only_first = 0, only_second = 0, neither = 0;  // that are right

  void add(bool first_is_right, bool second_is_right);
  /// The exact test of McNemar (Psychometrika 12, 153-157, 1947): the probability, were both
  /// networks right equally often, of decisions that differ as unevenly as these or more so, from
  /// the binomial distribution of those that only one network has right. 1 without such decisions.
  double p_value() const;
};

}  // namespace crosstate::task
