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
  const std::size_t first = row * lines_;
  if (offset_) return {first + column, first + bit_lines_};
  return {first + 2 * column, first + 2 * column + 1};
}

std::vector<double> ProgrammedArray::idle(double low, double high) const {
  std::vector<double> targets(static_cast<std::size_t>(target_.crossbar.rows) * lines_, low);
  const double middle = low + (high - low) / 2;
  for (std::size_t r = 0; offset_ && r < rows_; ++r) {
    std::fill_n(&targets[r * lines_], columns_, middle);
    targets[r * lines_ + bit_lines_] = middle;
  }
  return targets;
}

void ProgrammedArray::aim(std::vector<double>& targets, Pair cells, double difference) const {
  if (offset_) {
    targets[cells.plus] += difference;
  } else {
    targets[difference < 0 ? cells.minus : cells.plus] += std::abs(difference);
  }
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
  const double most = offset_ ? (high - low) / 2 : high - low;  // of a difference
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
    targets = idle(low, high);
    for (std::size_t r = 0; r < rows_; ++r) {
      for (std::size_t c = 0; c < columns_; ++c) {
        const Pair cells = pair(r, c);
        double read = beyond(k, held, r, c);
        read += spread[cells.plus] * random.normal();
        read -= spread[cells.minus] * random.normal();
        double& left = missing[r * columns_ + c];
        left = (left - read) * crossbar.significance;
        if (drive_[r * columns_ + c] == 0) continue;
        aim(targets, cells, std::clamp(left, -most, most));
      }
    }
  }
}

}  // namespace crosstate
