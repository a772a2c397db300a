// What no input can exceed: bounds of every accumulator of an integer network, proven from its
// weights alone, and what follows from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::integer {

struct AccumulatorBound {
  std::string name;        // "layers.0.output"
  std::int64_t bound = 0;  // on the magnitude, over all rows
  int bits() const;        // of a signed integer that holds it
};

struct StateBound {
  std::size_t modes = 0;
  std::size_t never_saturate = 0;  // whose l1 bound lies within the state's codes
  double largest = 0;              // l1 bound over the largest code
};

struct Certificate {
  std::vector<AccumulatorBound> accumulators;
  std::vector<StateBound> states;     // per layer
  std::int64_t longest_sequence = 0;  // as bounds.h has it
  bool fits_int32 = false;            // every accumulator but the requantizers' products
  bool fits_int64 = false;            // those too: true of every file that can be read
  /// Every sum is exact in a float and every product of a requantizer in a double, whatever the
  /// order: floating-point lanes compute the integers themselves.
  bool exact_in_float = false;
  std::string obstacle;  // the first accumulator that is not, or ""
};

/// Bounds from the l1 norms of weight rows and the codes that reach them, and, for states, of
/// impulse responses: |x| <= |u| sum_k |A^k B| + the sum of rounding errors. States saturate, so a
/// larger bound means clipping, not overflow.
Certificate certify(const IntegerNetwork& network);
/// Certificate::exact_in_float alone, without the sums over impulse responses.
bool exact_in_float(const IntegerNetwork& network);

}  // namespace crosstate::integer
