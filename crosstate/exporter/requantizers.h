// Requantizers of a site reduced to what a processor has to compute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "crosstate/exporter/c_tables.h"
#include "crosstate/integer/network.h"

namespace crosstate::exporter {

/// The requantizers of one site in every block: factors with fewer or more powers of
/// two, which leaves every result the same.
struct RequantizerPlan {
  PerBlock first, second, shift, early;
  bool two = false;           // whether there is a second sum
  bool shifts_first = false;  // whether some row has a shift before its product
  bool in_32_bits = true;     // all intermediate values
  /// Where positive, the shift of all rows, whose factors have 32 bits: the product of a sum and a
  /// factor then needs a shift by a constant, of 32 places where possible.
  int places = 0;
};

/// Largest magnitudes of the two sums of a row.
struct SumBounds {
  std::int64_t first = 0, second = 0;
};

/// `rows`: which rows of the requantizers belong to the site, [begin, end) in each block.
struct SiteRows {
  const integer::Requantizer* requantizer = nullptr;
  std::size_t begin = 0, end = 0;
};

/// `bounds(block, row)`: of row `begin + row`.
RequantizerPlan plan_requantizers(
    const std::vector<SiteRows>& blocks,
    const std::function<SumBounds(std::size_t block, std::size_t row)>& bounds);

}  // namespace crosstate::exporter
