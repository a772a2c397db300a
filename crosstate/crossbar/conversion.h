// What drivers and converters make of values, in lanes.
#pragma once

#include <cstddef>
#include <span>

#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// The converter of one column. Sums of the column become x gain + shift steps + INL, and are then
/// rounded.
struct ColumnConversion {
  bool distorts = false;        // false: no gain, shift and INL
  float gain = 1, shift = 0;    // shift: in steps
  float bend = 0;               // largest INL, in steps, times 3 sqrt(3) / 2
  float step = 1, inverse = 1;  // inverse: 1 / step
  float step_of_range = 1;      // step divided by the range
  float high = 0;               // largest code; 0: does not round
  float between = 0;            // half a step for readings at half steps, else 0
};

/// Converts sums in place: row c by conversions[c].
void convert_columns(std::span<const ColumnConversion> conversions, std::size_t columns,
                     kernels::Rows sums);

/// driven[r] = codes[r] + INL(codes[r]), with bends[r] as in ColumnConversion, in codes;
/// inverse_range: 1 / largest code. In place allowed.
void drive_rows(std::span<const float> bends, float inverse_range, std::size_t columns,
                kernels::ConstRows codes, kernels::Rows driven);

}  // namespace crosstate::crossbar
