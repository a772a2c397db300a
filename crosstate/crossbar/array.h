// One programmed crossbar array: signed weights as pairs of cells, and products with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/crossbar/converters.h"
#include "crosstate/crossbar/driven_columns.h"
#include "crosstate/crossbar/read_noise.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/device/cells.h"
#include "crosstate/hardware/backend.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// Scratch memory for products, one object per thread.
struct ReadScratch {
  AlignedFloats driven, squares, variance, slice, sum;
  std::vector<double> voltages, currents, rounding;  // for a backend
};

/// The weights of an array and their use.
struct ArrayPlan {
  std::span<const float> weights;        // [rows][columns]
  std::size_t rows = 0, columns = 0;     // driven and read, starting at the corner of the array
  float largest_code = 127;              // largest input of a row
  std::size_t slices = 1;                // products per input code, see Mapping
  std::vector<ColumnRange> ranges = {};  // [columns]; empty: steps and ranges of 1
  /// Level of a row relative to full level while a column is read: [rows][columns], powers of two,
  /// 0 if the row is grounded; empty: 1 throughout. A row that is grounded for a column has no
  /// weight in it.
  std::span<const float> drive = {};
  /// Row whose code compensation may add to the sum of a column with a separate factor, such as the
  /// previous state: [columns], kNoRow for none; empty: no column has one.
  std::vector<std::size_t> own_row = {};
};
constexpr std::size_t kNoRow = static_cast<std::size_t>(-1);

/// Array of `rows` x `columns` used pairs, starting at its corner. A pair of cells represents a
/// weight w as (g+ - g-) / scale. The digital scale of a column is such that its largest weight,
/// divided by the level of its row, uses the whole range from g_min to g_max. Cells without a
/// weight are idle at g_min; they are programmed, aged and read like all others, including those
/// outside the used part. Grounded rows carry current only through wire resistance.
///
/// With crossbar.encoding = "offset", one cell stores a weight as (g - g_reference) / scale, with
/// half the range for the largest weight. The reference cells of all rows form an additional last
/// column. Their target is the middle of the range, like that of idle cells in the used part. All
/// columns share the errors of the reference cells; their read noise is drawn for each column.
///
/// With crossbar.slices > 1 the array has several copies, each with its own cells. With slice_base
/// = 1 every copy holds the weight, and the result is the mean; otherwise copy k has the
/// significance slice_base^-k and holds, within its range, the residual error of the previous
/// copies as measured by one read of each cell.
///
/// With crossbar.remap, columns are moved to spare places, and working cells compensate for the
/// faulty cells of their pair, on each copy according to its own faults.
///
/// With wires, the effective weights are those of the nodal solution (wires.h), and the read noise
/// of a cell is weighted with its share of the current.
///
/// With a backend, its cells replace those of the target: the target conductances are programmed
/// there, and sums are computed from the measured currents.
class ProgrammedArray {
 public:
  /// `seed` is that of the chip. Throws Error for a weight that is not finite and for more rows or
  /// columns than an array has. A backend must outlive the array.
  ProgrammedArray(const ArrayPlan& plan, const Target& target, std::uint64_t seed,
                  std::uint32_t number, hardware::Backend* backend = nullptr);

  /// Advances the array to `seconds` after programming. Throws Error for a time before its present
  /// age. With a backend, the cells of all arrays age at once.
  void age_to(double seconds);
  /// Measures the corrections of crossbar.compensation with products of known inputs, and applies
  /// them to all later products.
  void compensate();
  /// Sets the ranges of calibrated converters from the largest sums per column.
  void calibrate(const std::vector<float>& seen) {
    converters_.calibrate(seen);
    prepare_reads();
  }

  /// Whether cells have 1/f noise that is faster than an inference: products then need weights of
  /// draw_weights().
  bool flickers() const { return flickers_; }
  /// The weights that 16 consecutive sequences find, the first of which is `sequence`: those of the
  /// chip, and a draw of the fast 1/f noise of every cell for every sequence.
  void draw_weights(std::uint32_t sequence, AlignedFloats& weights, ReadScratch& scratch) const;

  /// out[c] = converted(sum_r W[r][first + c] in[r] + noise) + offset[c] for `count` columns
  /// starting at `first`, over `steps` time steps of 16 lanes. `sequence` is that of lane 0, `step`
  /// the first time step. in: codes. offset: [count] or null. seen: [columns] largest sums so far,
  /// which are updated, or null. weights: from draw_weights(); null: those of the chip.
  void multiply(std::size_t first, std::size_t count, std::size_t steps, kernels::ConstRows in,
                kernels::Rows out, std::uint32_t sequence, std::uint32_t step, ReadScratch& scratch,
                const float* offset = nullptr, float* seen = nullptr,
                const float* weights = nullptr) const;

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  /// Number of columns at spare places, over all copies.
  std::size_t moved_columns() const;
  /// Columns of cells of the whole array: two per pair, or one per weight plus the reference.
  std::size_t bit_lines() const { return lines_; }
  /// The values that the pairs represent, in units of the weights, and the read variance of each:
  /// [columns][rows]. With a backend, the intended values.
  const AlignedFloats& effective() const { return effective_; }
  /// The correction that compensation adds to a pair; non-zero only if the row is the column's own
  /// row.
  double correction(std::size_t row, std::size_t column) const {
    return !own_.empty() && own_row_[column] == row ? double{own_[column]} : 0;
  }
  const AlignedFloats& read_variance() const { return variance_; }
  /// The variance of each between inferences, likewise; empty if there is none.
  const AlignedFloats& inference_variance() const { return flicker_variance_; }
  /// Variance of each column that does not depend on its inputs: of its converter, and of drivers
  /// with an absolute noise; in units of its sums, null: none.
  const float* fixed_variance() const {
    return fixed_variance_.empty() ? converters_.noise() : fixed_variance_.data();
  }
  /// The largest input of a row in one product, that is, in one slice.
  float largest_driven() const { return largest_driven_; }
  /// The step of the converter of a column, in units of its sums.
  float converter_step(std::size_t column) const { return converters_.step(column); }
  /// The intended value of a pair, in units of the weights: the weight rounded to the levels of the
  /// cells.
  double aim(std::size_t row, std::size_t column) const { return aim_[row * columns_ + column]; }
  /// Programming results of the first copy, and of all copies.
  const device::Cells& cells() const { return cells_.front(); }
  const std::vector<device::Cells>& copies() const { return cells_; }
  /// Replaces the cells of all copies by saved ones. Throws Error for another number of copies and
  /// for cells with other targets.
  void restore(std::vector<device::Cells> cells, const std::string& where);

 private:
  void update();
  // uA per unit of the sums of each column.
  std::vector<double> currents() const;
  // Volts per code of a row at full level.
  double volts_per_code() const;
  // Sets everything below that depends on weights, cells and converters.
  void prepare_reads();
  void prepare_driven();
  void balance_wires(double low, double high);
  // Copies; see array_copies.cpp.
  struct Pair {
    std::size_t plus, minus;  // indices of cells
  };
  Pair pair(std::size_t row, std::size_t column) const;
  // Indices of the cells of a pair on a copy.
  Pair placed(std::size_t copy, std::size_t row, std::size_t column) const {
    return pair(row, place_[copy][column]);
  }
  // Targets that avoid the faults of the copy that is programmed next, and the places of its
  // columns.
  std::vector<double> repaired(const std::vector<double>& targets,
                               std::span<const std::uint8_t> faults,
                               const device::ConductanceRange& range);
  // Targets of all cells for weights of 0.
  std::vector<double> idle(double low, double high) const;
  // Adds a difference (uS) to the targets of a pair.
  void aim(std::vector<double>& targets, Pair cells, double difference) const;
  void program_copies(const device::ConductanceRange& range);
  /// Whether copies hold the residual errors of previous copies.
  bool residual() const;
  /// The significance of a copy.
  double share(std::size_t copy) const;
  /// The deviation of a pair from its nominal value on a copy with conductances `held` (uS, of all
  /// its cells).
  double beyond(std::size_t copy, std::span<const double> held, std::size_t row,
                std::size_t column) const;
  // Operations of a backend; see array_backend.cpp.
  void program();
  void read_currents(std::size_t first, std::size_t count, std::size_t panel, kernels::ConstRows in,
                     kernels::Rows out, ReadScratch& scratch) const;
  // out[c] = bias[c] + sum of matrix[c][r] in[r] over the rows that are driven for column c.
  void product(const AlignedFloats& matrix, const float* bias, std::size_t first, std::size_t count,
               std::size_t panel, kernels::ConstRows in, kernels::Rows out) const;
  // Adds the corrections that compensate() has found.
  void correct(std::size_t first, std::size_t count, std::size_t panel, kernels::ConstRows codes,
               kernels::Rows sums) const;
  // What the drivers make of codes; the codes themselves if that is the same.
  kernels::ConstRows driven(std::size_t panel, kernels::ConstRows codes,
                            ReadScratch& scratch) const;
  void analog(std::size_t first, std::size_t count, std::size_t steps, kernels::ConstRows in,
              kernels::Rows out, const ReadAddress& address, ReadScratch& scratch, float* seen,
              const float* weights) const;

  std::size_t rows_, columns_, bit_lines_;  // bit_lines_: pairs per row of the whole array
  bool offset_;                             // one cell per weight and a reference cell
  std::size_t lines_;                       // columns of cells of the whole array
  std::uint64_t seed_;
  std::uint32_t number_;
  std::size_t slices_;
  int slice_bits_;
  float largest_code_, largest_driven_;  // the second: within one product, that is, one slice
  Target target_;
  hardware::Backend* backend_ = nullptr;
  // For a backend: index of the product that reads each column, one for all columns with the same
  // levels; and the largest conductance of a cell, in siemens.
  std::vector<std::size_t> product_;
  double highest_ = 0;
  std::vector<double> scale_;  // [columns], uS per unit of weight
  std::vector<float> drive_;   // [rows][columns], see ArrayPlan
  // Rows that are driven while a column is read, and what such a read needs; empty: all rows are.
  DrivenColumns driven_;
  std::vector<double> aim_;  // weights rounded to the levels of cells
  // Targets of all cells of the first copy (uS), before rounding to levels if other copies hold
  // residual errors.
  std::vector<double> targets_;
  std::vector<std::vector<std::size_t>> place_;  // [copies][columns], in pairs
  std::vector<device::Cells> cells_;             // by copy
  // By copy: uS, seen from the ends of the lines if there are wires; empty: cells have changed.
  std::vector<std::vector<double>> through_;
  RowDrivers drivers_;
  ColumnConverters converters_;
  std::vector<std::size_t> own_row_;        // see ArrayPlan
  std::vector<float> slope_, shift_, own_;  // corrections by column; empty: none
  AlignedFloats effective_, variance_;      // transposed: [columns][rows]
  AlignedFloats flicker_variance_;          // likewise; empty: none
  AlignedFloats fixed_variance_;            // [columns]; empty: that of the converters
  AlignedFloats drive_noise_;               // [rows] variances; empty: none
  bool noisy_ = false, cells_noisy_ = false, flickers_ = false;
};

}  // namespace crosstate::crossbar
