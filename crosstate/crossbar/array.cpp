#include "crosstate/crossbar/array.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/lanes.h"
#include "crosstate/device/cells.h"

namespace crosstate {

ProgrammedArray::ProgrammedArray(std::span<const float> weights, std::size_t rows,
                                 std::size_t columns, const DeviceOptions& device,
                                 const CrossbarOptions& crossbar, std::uint64_t seed,
                                 std::uint32_t number)
    : rows_(rows), columns_(columns), seed_(seed), number_(number) {
  const auto most_rows = static_cast<std::size_t>(crossbar.rows);
  const auto most_columns = static_cast<std::size_t>(crossbar.columns);
  const std::string where = "array " + std::to_string(number);
  if (rows > most_rows || columns > most_columns || weights.size() != rows * columns) {
    fail(where, std::to_string(weights.size()) + " weights for " + std::to_string(rows) + " x " +
                    std::to_string(columns) + " pairs, expected at most " +
                    std::to_string(most_rows) + " x " + std::to_string(most_columns));
  }
  effective_.resize(rows * columns);
  variance_.resize(rows * columns);
  const ConductanceRange range = conductance_range(device);
  // Cells 2 (r most_columns + c) and the next hold weight r, c; all others of a row are idle.
  std::vector<double> targets(2 * rows * most_columns, range.low), scales(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    double top = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      const double w = weights[r * columns + c];
      if (!std::isfinite(w)) {
        fail(where, "weight " + std::to_string(w) + " in row " + std::to_string(r) + ", column " +
                        std::to_string(c) + ", expected finite values");
      }
      top = std::max(top, std::abs(w));
    }
    // One unit of weight in uS. A column without weights keeps the whole range for 1.
    scales[c] = (range.high - range.low) / (top > 0 ? top : 1);
    for (std::size_t r = 0; r < rows; ++r) {
      const double w = weights[r * columns + c];
      const std::size_t cell = 2 * (r * most_columns + c);
      targets[cell] = range.low + std::max(w, 0.0) * scales[c];
      targets[cell + 1] = range.low + std::max(-w, 0.0) * scales[c];
    }
  }
  const Cells cells(device, targets, seed, number);
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t cell = 2 * (r * most_columns + c);
      const double plus = cells.conductance()[cell], minus = cells.conductance()[cell + 1];
      const double plus_read = cells.read_deviation()[cell] / scales[c];
      const double minus_read = cells.read_deviation()[cell + 1] / scales[c];
      effective_[c * rows + r] = static_cast<float>((plus - minus) / scales[c]);
      variance_[c * rows + r] = static_cast<float>(plus_read * plus_read + minus_read * minus_read);
    }
  }
  noisy_ = std::any_of(variance_.begin(), variance_.end(), [](float v) { return v > 0; });
}

void ProgrammedArray::multiply(std::size_t first, std::size_t count, std::size_t steps,
                               ConstRows in, Rows out, std::uint32_t sequence, std::uint32_t step,
                               ReadScratch& scratch, const float* offset) const {
  const std::size_t panel = steps * kLanes;
  linear_forward(effective_.data() + first * rows_, offset, count, rows_, panel, in, out);
  if (!noisy_) return;

  // The variances of independent cells add up, weighted by the squares of what drives them.
  scratch.squares.resize(std::max(scratch.squares.size(), rows_ * panel));
  scratch.variance.resize(std::max(scratch.variance.size(), count * panel));
  const Rows squares{scratch.squares.data(), panel}, variance{scratch.variance.data(), panel};
  crosstate::multiply(rows_, panel, in, in, squares);
  linear_forward(variance_.data() + first * rows_, nullptr, count, rows_, panel, squares, variance);
  add_read_noise({seed_, number_, sequence, step}, first, count, steps, variance, out);
}

}  // namespace crosstate
