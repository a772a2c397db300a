// The converters of one array: DACs that drive its rows and ADCs that read its columns.
//
// Integral non-linearity (INL) has the shape b 3 sqrt(3) / 2 (t - t^3) over the range t in [-1, 1],
// with maximum b. Gains, offsets and INL are drawn once per chip; noise is drawn at every use.
//
// Errors in steps shrink with the range of a converter. Those in uA and uV are absolute: they are
// what remains of a signal that is amplified to fit the range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/crossbar/conversion.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// Scaling of the output of a column: the `step` of the next code, and the largest sum of codes,
/// both in units of the column's sums. `partial`: not the whole sum. `own`: the converter has its
/// own steps over the range, even with learned ranges. `between`: its readings are at half steps,
/// so that rounding them to a multiple of `step` rounds the sum itself.
struct ColumnRange {
  float step = 1, range = 1;
  bool partial = false, own = false, between = false;
};

/// Address of the random draws.
struct ConverterAddress {
  std::uint64_t seed = 0;
  std::uint32_t array = 0;
};

/// Analog-to-digital converters, one per column.
class ColumnConverters {
 public:
  ColumnConverters() = default;
  /// largest: bound on the magnitude of the sums of each column, which determines fixed ranges.
  /// currents: of each column, uA per unit of its sums; empty: no errors in uA.
  ColumnConverters(const CrossbarOptions& options, std::vector<ColumnRange> columns,
                   const std::vector<float>& largest, const ConverterAddress& address,
                   const std::vector<double>& currents = {});

  /// Errors in uA count `slope` as much, by column, because digital corrections multiply them;
  /// empty: once.
  void correct(const std::vector<float>& slope);

  /// Sets calibrated ranges: adc_margin times the largest sums seen; columns without sums keep
  /// their ranges.
  void calibrate(const std::vector<float>& seen);

  /// Variance of the noise of a conversion per column, in units of its sums; null if there is none.
  const float* noise() const { return noise_.empty() ? nullptr : noise_.data(); }

  /// The step of a column, in units of its sums: its own, or that of the codes.
  float step(std::size_t column) const { return conversions_[column].step; }

  /// What convert() does, by column.
  std::span<const ColumnConversion> conversions() const { return conversions_; }

  /// Converts sums in place: applies gain, offset and INL, and rounds to the converter's own steps
  /// if its range is not that of the codes.
  void convert(std::size_t first, std::size_t count, std::size_t columns, kernels::Rows sums) const;

 private:
  void set_steps();

  CrossbarOptions options_;
  std::vector<ColumnRange> columns_;
  AlignedFloats gain_, offset_, inl_, noise_;  // offset, INL: in converter steps
  // Errors in uA, in units of the sums before digital corrections; empty: none.
  std::vector<double> offset_floor_, noise_floor_;
  std::vector<float> slope_;  // digital corrections; empty: 1
  std::vector<ColumnConversion> conversions_;
  bool distorts_ = false;
};

/// Digital-to-analog converters, one driver per row: fixed gains, and INL of the driven value.
class RowDrivers {
 public:
  RowDrivers() = default;
  /// range: the largest code.
  RowDrivers(const CrossbarOptions& options, std::size_t rows, float range,
             const ConverterAddress& address);
  /// Whether drive() changes anything besides gains, which are part of the effective weights of the
  /// cells.
  bool has_inl() const { return !bends_.empty(); }
  float gain(std::size_t row) const { return gain_.empty() ? 1 : gain_[row]; }
  void drive(std::size_t columns, kernels::ConstRows codes, kernels::Rows driven) const;

 private:
  AlignedFloats gain_, bends_;  // bends_: see ColumnConversion
  float inverse_range_ = 1;
};

}  // namespace crosstate::crossbar
