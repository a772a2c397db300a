// The cells of a weight: where they stand, and what the copies of an array are programmed to.
#include <algorithm>
#include <cmath>

#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"

namespace crosstate {
namespace {

// Above the number of an array in the address of its cells: the copy.
constexpr int kCopyShift = 24;

double nearest_level(double g, double low, double high, int levels) {
  if (levels < 2) return g;
  const double step = (high - low) / (levels - 1);
  return low + std::round((g - low) / step) * step;
}

}  // namespace

ProgrammedArray::Pair ProgrammedArray::pair(std::size_t row, std::size_t column) const {
  const std::size_t plus = 2 * (row * bit_lines_ + column);
  return {plus, plus + 1};
}

bool ProgrammedArray::residual() const {
  return target_.crossbar.cells > 1 && target_.crossbar.significance > 1;
}

double ProgrammedArray::share(std::size_t copy) const {
  const CrossbarOptions& crossbar = target_.crossbar;
  return residual() ? std::pow(crossbar.significance, -static_cast<double>(copy))
                    : 1.0 / crossbar.cells;
}

double ProgrammedArray::beyond(std::size_t copy, std::span<const double> held, std::size_t row,
                               std::size_t column) const {
  const Pair cells = pair(row, column);
  // Copies behind the first stand for nothing: what they hold corrects.
  if (copy > 0 && residual()) return held[cells.plus] - held[cells.minus];
  return (held[cells.plus] - targets_[cells.plus]) - (held[cells.minus] - targets_[cells.minus]);
}

void ProgrammedArray::program_copies(double low, double high) {
  const CrossbarOptions& crossbar = target_.crossbar;
  std::vector<double> targets = targets_;
  // What the copies so far leave of each pair, uS at the significance of the last one.
  std::vector<double> missing(rows_ * columns_, 0);
  for (std::size_t k = 0; k < static_cast<std::size_t>(crossbar.cells); ++k) {
    const std::uint32_t address = number_ | static_cast<std::uint32_t>(k) << kCopyShift;
    if (residual()) {
      for (double& g : targets) g = nearest_level(g, low, high, crossbar.levels);
    }
    cells_.emplace_back(target_.device, targets, seed_, address);
    if (!residual()) continue;
    const auto held = cells_[k].conductance(), spread = cells_[k].read_deviation();
    Random random(seed_, Stream::kResidual, address);
    std::fill(targets.begin(), targets.end(), low);
    for (std::size_t r = 0; r < rows_; ++r) {
      for (std::size_t c = 0; c < columns_; ++c) {
        const Pair cells = pair(r, c);
        double read = beyond(k, held, r, c);
        read += spread[cells.plus] * random.normal();
        read -= spread[cells.minus] * random.normal();
        double& left = missing[r * columns_ + c];
        left = (left - read) * crossbar.significance;
        if (drive_[r * columns_ + c] == 0) continue;
        const double g = std::min(std::abs(left), high - low);
        targets[left < 0 ? cells.minus : cells.plus] += g;
      }
    }
  }
}

}  // namespace crosstate
