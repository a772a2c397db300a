// One programmed crossbar array: signed weights on pairs of cells, and products with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/base/aligned.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/crossbar/read_noise.h"
#include "crosstate/device/options.h"
#include "crosstate/kernels/pointwise.h"

namespace crosstate {

/// Scratch memory of products, one per thread.
struct ReadScratch {
  AlignedFloats squares, variance;
};

/// The part of an array that is driven and read: its first `rows` rows and `columns` columns. A
/// weight w stands on two cells as (g+ - g-) / scale, with the column's digital scale such that
/// its largest weight uses the whole range from g_min to g_max. Cells without a weight are idle at
/// g_min; they are programmed and read as all others. Rows and columns beyond are neither driven
/// nor read, so they add nothing.
class ProgrammedArray {
 public:
  /// weights: [rows][columns]. `seed` is the chip's. Throws Error for a weight that is not finite
  /// and for more rows or columns than an array has.
  ProgrammedArray(std::span<const float> weights, std::size_t rows, std::size_t columns,
                  const DeviceOptions& device, const CrossbarOptions& crossbar, std::uint64_t seed,
                  std::uint32_t number);

  /// out[c] = sum_r W[r][first + c] in[r] + noise for `count` columns from `first` on, over `steps`
  /// time steps of 16 lanes each. `sequence` is that of lane 0, `step` the first. offset: [count],
  /// what the converters add to their columns, or null.
  void multiply(std::size_t first, std::size_t count, std::size_t steps, ConstRows in, Rows out,
                std::uint32_t sequence, std::uint32_t step, ReadScratch& scratch,
                const float* offset = nullptr) const;

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  /// What the pairs hold, in units of the weights, and the read variance of each: [columns][rows].
  const AlignedFloats& effective() const { return effective_; }
  const AlignedFloats& read_variance() const { return variance_; }

 private:
  std::size_t rows_, columns_;
  std::uint64_t seed_;
  std::uint32_t number_;
  bool noisy_ = false;
  AlignedFloats effective_, variance_;  // transposed: [columns][rows]
};

}  // namespace crosstate
