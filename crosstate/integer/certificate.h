// Bounds of every accumulator of an integer network for any input, proven from its weights alone,
// and their consequences.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::integer {

struct AccumulatorBound {
  std::string name;        // "layers.0.output"
  std::int64_t bound = 0;  // of the magnitude, over all rows
  int bits() const;        // width of a signed integer that holds it
};

struct StateBound {
  std::size_t modes = 0;
  std::size_t never_saturate =
      0;               // number of modes whose l1 bound is within the codes of the state
  double largest = 0;  // largest l1 bound divided by the largest code
  // Largest accumulated rounding error of the states of the block if none saturates: of a state, in
  // its codes, and of an output of the recurrence, in codes of ssm_output (docs/arithmetic.md).
  double state_error = 0, output_error = 0;
};

struct Certificate {
  std::vector<AccumulatorBound> accumulators;
  std::vector<StateBound> states;     // per layer
  std::int64_t longest_sequence = 0;  // see bounds.h
  bool fits_int32 = false;            // all accumulators except the products of requantizers
  bool fits_int64 = false;            // those as well; true for every file that can be read
  /// Every sum is exact in a float and every product of a requantizer in a double, in any order:
  /// floating-point lanes compute the same integers.
  bool exact_in_float = false;
  std::string obstacle;  // first accumulator for which this fails, or ""
};

/// Bounds from the l1 norms of weight rows and the range of the codes and, for states, of impulse
/// responses:
/// x| <= |u| sum_k |A^k B| + the sum of rounding errors. States saturate, so a larger bound means
/// clipping, not overflow.
Certificate certify(const IntegerNetwork& network);
/// Only Certificate::exact_in_float, without the sums over impulse responses; without the sums of
/// the states if these are computed elsewhere.
bool exact_in_float(const IntegerNetwork& network, bool states = true);

}  // namespace crosstate::integer
