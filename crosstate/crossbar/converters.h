// The converters of one array: DACs that drive its rows and ADCs that read its columns.
//
// Integral non-linearity (INL) has the shape b 3 sqrt(3) / 2 (t - t^3) over the range t in
// [-1, 1], whose largest value is b; gains, offsets and INL are drawn once per chip. Noise is
// drawn at every use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// The scale of a column's output: the `step` of the code after it, and the largest sum of codes,
/// both in units of the column's sums. `partial`: not the whole sum. `own`: the converter has steps
/// of its own over the range, even if ranges are learned, and reads between them (at half steps),
/// so that rounding what it reads to a multiple of its step rounds the sum itself.
struct ColumnRange {
  float step = 1, range = 1;
  bool partial = false, own = false;
};

/// Address of the draws.
struct ConverterAddress {
  std::uint64_t seed = 0;
  std::uint32_t array = 0;
};

/// Analog to digital, one converter per column.
class ColumnConverters {
 public:
  ColumnConverters() = default;
  /// largest: per column, the bound on the magnitude of its sums, which determines fixed ranges.
  ColumnConverters(const CrossbarOptions& options, std::vector<ColumnRange> columns,
                   const std::vector<float>& largest, const ConverterAddress& address);

  /// Sets calibrated ranges: adc_margin times the largest sums seen; columns without any sum keep
  /// theirs.
  void calibrate(const std::vector<float>& seen);

  /// Variance of thermal noise per column, in units of its sums; null: none.
  const float* noise() const { return noise_.empty() ? nullptr : noise_.data(); }

  /// Sums as the converters see them, in place: gain, offset and INL, and rounded to the
  /// converter's own steps where its range is not that of the codes.
  void convert(std::size_t first, std::size_t count, std::size_t columns, kernels::Rows sums) const;

 private:
  void set_steps();

  CrossbarOptions options_;
  std::vector<ColumnRange> columns_;
  AlignedFloats gain_, offset_, inl_, step_, noise_;  // offset, INL: in converter steps
  AlignedFloats largest_;  // codes of converters that round; 0 where rounding to codes does that
  AlignedFloats between_;  // half a step of those that read between steps, else 0
  bool distorts_ = false;
};

/// Digital to analog, one driver per row: frozen gains, and INL of the value driven.
class RowDrivers {
 public:
  RowDrivers() = default;
  /// range: the largest code.
  RowDrivers(const CrossbarOptions& options, std::size_t rows, float range,
             const ConverterAddress& address);
  /// Whether drive() changes anything but by gains, which belong to the cells' effective weights.
  bool has_inl() const { return !inl_.empty(); }
  float gain(std::size_t row) const { return gain_.empty() ? 1 : gain_[row]; }
  void drive(std::size_t count, std::size_t columns, kernels::ConstRows codes,
             kernels::Rows driven) const;

 private:
  AlignedFloats gain_, inl_;
  float inverse_range_ = 1;
};

}  // namespace crosstate::crossbar
