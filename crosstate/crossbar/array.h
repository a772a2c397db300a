// One programmed crossbar array: signed weights on pairs of cells, and products with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/crossbar/converters.h"
#include "crosstate/crossbar/read_noise.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/device/cells.h"
#include "crosstate/hardware/backend.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// Scratch memory of products, one per thread.
struct ReadScratch {
  AlignedFloats driven, squares, variance, slice, sum;
  std::vector<double> voltages, currents, rounding;  // of a backend
};

/// The weights of an array and how it is used.
struct ArrayPlan {
  std::span<const float> weights;        // [rows][columns]
  std::size_t rows = 0, columns = 0;     // driven and read, from the array's corner
  float largest_code = 127;              // that a row is driven by
  std::size_t slices = 1;                // products that codes take, see Mapping
  std::vector<ColumnRange> ranges = {};  // [columns]; empty: steps and ranges of 1
  /// Level of a row, of the full one, while a column is read: [rows][columns], powers of two, 0
  /// where the row rests; empty: 1 throughout. Where a row rests it has no weight.
  std::span<const float> drive = {};
  /// Row whose code compensation may add to a column's sum with a factor of its own, as for the
  /// previous state: [columns], kNoRow for none; empty: none at all.
  std::vector<std::size_t> own_row = {};
};
constexpr std::size_t kNoRow = static_cast<std::size_t>(-1);

/// The part of an array that is driven and read: its first `rows` rows and `columns` columns. A
/// weight w stands on two cells as (g+ - g-) / scale, with the column's digital scale such that
/// its largest weight, over the level of its row, uses the whole range from g_min to g_max. Cells
/// without a weight are idle at g_min; they are programmed, aged and read as all others, also
/// beyond the part that is used. Where rows rest, grounded, they carry current only through the
/// resistance of wires.
///
/// With crossbar.encoding = "offset" it is stored in one cell, as (g - g_reference) / scale, with
/// half the range for the largest weight: the reference cells of all rows form one additional
/// column behind the others, with the middle of the range as their target, like idle cells in the
/// part that is used. All columns share the errors of the reference cells; their read noise is
/// drawn for each column.
///
/// With crossbar.slices > 1 the array stands on as many copies, each with cells of its own. With
/// slice_base = 1 all hold the weight, and the result is their mean; otherwise copy k has the
/// significance slice_base^-k and holds, within its range, the residual error of the previous
/// copies as measured by one read of each cell.
///
/// With crossbar.remap, columns move to spare places, and working cells compensate for the faulty
/// ones of their pair, on each copy according to its own faults.
///
/// With wires the effective weights are those of the nodal solution (wires.h), and the read noise
/// of a cell counts as much as its share of the current does.
///
/// With a backend its cells take the place of those of the target: the conductances aimed at are
/// programmed there, and sums are made of the currents that come back.
class ProgrammedArray {
 public:
  /// `seed` is the chip's. Throws Error for a weight that is not finite and for more rows or
  /// columns than an array has. A backend has to outlive the array.
  ProgrammedArray(const ArrayPlan& plan, const Target& target, std::uint64_t seed,
                  std::uint32_t number, hardware::Backend* backend = nullptr);

  /// The array `seconds` after programming. Throws Error for a time before its present one. Cells
  /// of a backend grow older there, all arrays at once.
  void age_to(double seconds);
  /// Measures the corrections of crossbar.compensation with products of known inputs and applies
  /// them from then on.
  void compensate();
  /// Ranges of calibrated converters, from the largest sums seen per column.
  void calibrate(const std::vector<float>& seen) { converters_.calibrate(seen); }

  /// out[c] = converted(sum_r W[r][first + c] in[r] + noise) + offset[c] for `count` columns from
  /// `first` on, over `steps` time steps of 16 lanes each. `sequence` is that of lane 0, `step` the
  /// first. in: codes. offset: [count], or null. seen: [columns] of the largest sums so far, which
  /// this updates, or null.
  void multiply(std::size_t first, std::size_t count, std::size_t steps, kernels::ConstRows in,
                kernels::Rows out, std::uint32_t sequence, std::uint32_t step, ReadScratch& scratch,
                const float* offset = nullptr, float* seen = nullptr) const;

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  /// Number of columns at spare places, over all copies.
  std::size_t moved_columns() const;
  /// Columns of cells of the whole array: two per pair, or one per weight and the reference.
  std::size_t bit_lines() const { return lines_; }
  /// The values that the pairs hold, in units of the weights, and the read variance of each:
  /// [columns][rows]. For a backend, the intended values.
  const AlignedFloats& effective() const { return effective_; }
  /// The correction that compensation adds to a pair: non-zero only where the row is the column's
  /// own.
  double correction(std::size_t row, std::size_t column) const {
    return !own_.empty() && own_row_[column] == row ? double{own_[column]} : 0;
  }
  const AlignedFloats& read_variance() const { return variance_; }
  /// The intended value of a pair, in units of the weights: the weight, rounded to the levels of
  /// the cells.
  double aim(std::size_t row, std::size_t column) const { return aim_[row * columns_ + column]; }
  /// The cells of the first copy, and of all copies.
  const device::Cells& cells() const { return cells_.front(); }
  const std::vector<device::Cells>& copies() const { return cells_; }
  /// Replaces the cells of all copies by saved ones. Throws Error for another number of copies and
  /// for cells of other targets.
  void restore(std::vector<device::Cells> cells, const std::string& where);

 private:
  void update();
  void balance_wires(double low, double high);
  // Copies, array_copies.cpp.
  struct Pair {
    std::size_t plus, minus;  // numbers of cells
  };
  Pair pair(std::size_t row, std::size_t column) const;
  // Where the cells of a pair are on a copy.
  Pair placed(std::size_t copy, std::size_t row, std::size_t column) const {
    return pair(row, place_[copy][column]);
  }
  // Targets around the faults of the copy that is programmed next, and the places of its columns.
  std::vector<double> repaired(const std::vector<double>& targets,
                               std::span<const std::uint8_t> faults,
                               const device::ConductanceRange& range);
  // Targets of all cells for weights of 0.
  std::vector<double> idle(double low, double high) const;
  // Adds a difference (uS) to those of a pair of an idle array.
  void aim(std::vector<double>& targets, Pair cells, double difference) const;
  void program_copies(const device::ConductanceRange& range);
  /// Whether copies hold the residual errors of the previous ones.
  bool residual() const;
  /// The significance of a copy.
  double share(std::size_t copy) const;
  /// The deviation of a pair from its nominal value on a copy, given `held` (uS, of all cells of
  /// the copy).
  double beyond(std::size_t copy, std::span<const double> held, std::size_t row,
                std::size_t column) const;
  // Operations of a backend, array_backend.cpp.
  void program();
  void read_currents(std::size_t first, std::size_t count, std::size_t panel, kernels::ConstRows in,
                     kernels::Rows out, ReadScratch& scratch) const;
  // out[c] = bias[c] + sum of matrix[c][r] in[r] over the rows that are driven for column c.
  void product(const AlignedFloats& matrix, const float* bias, std::size_t first, std::size_t count,
               std::size_t panel, kernels::ConstRows in, kernels::Rows out) const;
  void analog(std::size_t first, std::size_t count, std::size_t steps, kernels::ConstRows in,
              kernels::Rows out, const ReadAddress& address, ReadScratch& scratch,
              float* seen) const;

  std::size_t rows_, columns_, bit_lines_;  // bit_lines_: pairs of the whole array
  bool offset_;                             // a cell and a reference for a pair
  std::size_t lines_;                       // columns of cells of the whole array
  std::uint64_t seed_;
  std::uint32_t number_;
  std::size_t slices_;
  int slice_bits_;
  float largest_code_, largest_driven_;  // the second: within one product, a slice
  Target target_;
  hardware::Backend* backend_ = nullptr;
  // For a backend: the product that reads each column, one for all columns with the same levels;
  // and the largest conductance of a cell, in siemens.
  std::vector<std::size_t> product_;
  double highest_ = 0;
  std::vector<double> scale_;  // [columns], uS per unit of weight
  std::vector<float> drive_;   // [rows][columns], see ArrayPlan
  // Rows that do not rest while a column is read, one column after the other, and where each
  // column's begin: [columns + 1]; empty: all rows.
  std::vector<std::uint32_t> driven_, driven_first_;
  std::vector<double> aim_;  // [rows][columns], the weights rounded to the levels of cells
  // Targets of all cells of the first copy (uS); before rounding to levels if other copies hold
  // residual errors.
  std::vector<double> targets_;
  std::vector<std::vector<std::size_t>> place_;  // [copies][columns], of pairs
  std::vector<device::Cells> cells_;             // by copy
  // By copy: uS, as seen from the ends of lines with wires; empty: cells have changed.
  std::vector<std::vector<double>> through_;
  RowDrivers drivers_;
  ColumnConverters converters_;
  std::vector<std::size_t> own_row_;        // see ArrayPlan
  std::vector<float> slope_, shift_, own_;  // corrections by column; empty: none
  AlignedFloats effective_, variance_;      // transposed: [columns][rows]
  AlignedFloats drive_noise_;               // [rows] variances; empty: none
  bool noisy_ = false;
};

}  // namespace crosstate::crossbar
