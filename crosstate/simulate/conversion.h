// Converts sums (integer or not) to the codes of an integer network with the resolution of a
// converter.
#pragma once

#include <algorithm>
#include <cmath>

#include "crosstate/analog/steps.h"
#include "crosstate/crossbar/converters.h"
#include "crosstate/integer/lanes.h"

namespace crosstate::simulate {

/// Number of bits that a converter lacks to distinguish all codes of a format.
inline int missing_bits(const integer::CodeFormat& to, int adc_bits) {
  return analog::missing_bits(static_cast<std::uint64_t>(std::int64_t{to.quant_max} - to.quant_min),
                              adc_bits);
}

/// A requantizer followed by a table, as computed by a converter of `adc_bits`: with the codes of
/// the network if it has enough bits, otherwise with wider steps over the same range.
class Conversion {
 public:
  Conversion() = default;
  /// q, second_by: as in LaneFactors.
  Conversion(const integer::Requantizer& r, const integer::CodeFormat& to, int adc_bits,
             std::size_t rows, const integer::CodeFormat& q = {},
             std::span<const std::int16_t> second_by = {})
      : to_(to), missing_(missing_bits(to, adc_bits)) {
    integer::Requantizer wide = r;
    for (std::int32_t& shift : wide.shift) shift += missing_;
    factors_ = integer::LaneFactors(wide, rows, q, second_by, /*whole=*/false);
    coarse_ = {static_cast<std::int32_t>(std::ceil(std::ldexp(to.quant_min, -missing_))),
               static_cast<std::int32_t>(std::floor(std::ldexp(to.quant_max, -missing_))),
               to.scale};
  }

  /// Rows `first` .. first + rows - 1 of the requantizer. `table` has one entry per code or is
  /// empty.
  void operator()(std::size_t rows, std::size_t columns, kernels::ConstRows p, kernels::ConstRows q,
                  kernels::Rows out, const integer::CodeEntries& table = {},
                  std::size_t first = 0) const {
    const AlignedFloats& entries = table.values();
    if (missing_ == 0) {
      const kernels::LaneTable lanes = table.lanes();
      kernels::requantize_rows(factors_.to(to_, entries.empty() ? nullptr : &lanes, first), rows,
                               columns, p, q, out);
      return;
    }
    kernels::requantize_rows(factors_.to(coarse_, nullptr, first), rows, columns, p, q, out);
    const AlignedFloats step(rows, std::exp2(static_cast<float>(missing_)));
    kernels::affine_forward(step.data(), nullptr, rows, columns, out, out);
    if (entries.empty()) return;
    kernels::table_forward(entries.data(), entries.size(), static_cast<float>(to_.quant_min), 1,
                           rows, columns, out, out);
  }

 private:
  integer::CodeFormat to_, coarse_;
  int missing_ = 0;
  integer::LaneFactors factors_;
};

/// Step and range of a column whose sums become codes of `to` by row `row` of a requantizer.
inline crossbar::ColumnRange column_range(const integer::Requantizer& r, std::size_t row,
                                          const integer::CodeFormat& to, int adc_bits,
                                          bool partial) {
  const double first = std::abs(static_cast<double>(r.first[row]));
  const double step = first > 0 ? std::ldexp(1 / first, r.places(row)) : 1;
  const double most =
      std::max(std::abs(static_cast<double>(to.quant_min)), std::abs(double(to.quant_max)));
  return {static_cast<float>(std::ldexp(step, missing_bits(to, adc_bits))),
          static_cast<float>(step * most), partial};
}

/// The range of a converter for increments of up to `largest` (in codes of the state), which
/// replaces `codes`, the range for its codes: the finest power-of-two steps that reach this far.
/// The values read lie between codes, so that the sum is rounded only once, when it is rounded to a
/// code. If the steps would be no finer, the range of the codes is kept, unless the converter lacks
/// bits for it.
inline crossbar::ColumnRange increment_range(const crossbar::ColumnRange& codes, float largest,
                                             int adc_bits) {
  if (!analog::reads_increments(largest, adc_bits, codes.step)) return codes;
  crossbar::ColumnRange fitted = codes;
  fitted.step = analog::state_converter_step(largest, adc_bits, codes.step);
  fitted.range = fitted.step * analog::converter_high(adc_bits);
  fitted.own = fitted.between = true;
  return fitted;
}

/// The range of a converter whose sums are added to the register of a noise-shaped state of
/// `residue_bits`, which replaces `codes`: its step is the last place of the register. `largest`:
/// of increments, 0 if it does not read increments. With a range that is not learned, the register
/// has all its places.
inline crossbar::ColumnRange register_range(const crossbar::ColumnRange& codes, int residue_bits,
                                            float largest,
                                            const crossbar::CrossbarOptions& crossbar) {
  crossbar::ColumnRange range = codes;
  range.step = std::exp2(static_cast<float>(-residue_bits));
  if (crossbar.adc_range != crossbar::AdcRange::kLearned) return range;
  const analog::RegisterConverter converter =
      analog::register_converter(codes.range, residue_bits, largest, crossbar.adc_bits);
  range.step = converter.step;
  range.own = converter.own;
  if (converter.own) range.range = converter.step * analog::converter_high(crossbar.adc_bits);
  return range;
}

}  // namespace crosstate::simulate
