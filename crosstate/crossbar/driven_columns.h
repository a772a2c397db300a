// Products of arrays of which few rows are driven for a column, from drivers to converters in one
// pass: the inner loop of a chip, since it computes the recurrence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/crossbar/conversion.h"
#include "crosstate/crossbar/read_noise.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// What read_driven() reads of an array.
struct DrivenColumns {
  /// Driven rows, concatenated over the columns, and the start of each column: [columns + 1].
  std::vector<std::uint32_t> rows, first;
  /// Of every driven row, in the order of `rows`: weight and variance of read noise, for a code of
  /// 1. No variances: cells have no noise.
  AlignedFloats weights, variances;
  /// By column: variance that does not depend on the inputs; empty: there is no noise at all.
  AlignedFloats fixed_variance;
  std::vector<ColumnConversion> conversions;
  /// By column, added after the conversion: a constant, and a code times a factor (0: none). Empty:
  /// no correction.
  std::vector<float> shift, own;
  std::vector<std::size_t> own_row;
};

/// out[c] = converted(sum_r W[r][first + c] driven[r] + noise) + corrections, for `count` columns
/// starting at `first`, over `steps` time steps of 16 lanes. codes: inputs, of which corrections
/// add multiples. driven: what the drivers make of them. weights: by driven row and lane; null:
/// those of the table.
///
/// The same operations in the same order as products, add_read_noise(), ColumnConverters::convert()
/// and the corrections one after the other, and the same bits.
void read_driven(const DrivenColumns& table, const ReadAddress& address, std::size_t first,
                 std::size_t count, std::size_t steps, kernels::ConstRows codes,
                 kernels::ConstRows driven, const float* weights, kernels::Rows out);

}  // namespace crosstate::crossbar
