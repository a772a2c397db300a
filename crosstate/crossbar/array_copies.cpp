// Cells of a weight: positions, and targets of the copies of an array.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "crosstate/analog/bit_line.h"
#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"
#include "crosstate/crossbar/repair.h"

namespace crosstate::crossbar {
namespace {

// Bits above the number of an array in the address of its cells: the copy.
constexpr int kCopyShift = 24;

double target_on_level(double g, const device::ConductanceRange& range, int levels) {
  return range.low + analog::nearest_level(g - range.low, range.high - range.low, levels);
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
  return target_.crossbar.slices > 1 && target_.crossbar.slice_base > 1;
}

double ProgrammedArray::share(std::size_t copy) const {
  const CrossbarOptions& crossbar = target_.crossbar;
  return residual() ? std::pow(crossbar.slice_base, -static_cast<double>(copy))
                    : 1.0 / crossbar.slices;
}

double ProgrammedArray::beyond(std::size_t copy, std::span<const double> held, std::size_t row,
                               std::size_t column) const {
  const Pair cells = placed(copy, row, column);
  // Copies after the first have a nominal value of 0: they hold corrections.
  if (copy > 0 && residual()) return held[cells.plus] - held[cells.minus];
  const Pair aimed = pair(row, column);
  return (held[cells.plus] - targets_[aimed.plus]) - (held[cells.minus] - targets_[aimed.minus]);
}

std::size_t ProgrammedArray::moved_columns() const {
  std::size_t count = 0;
  for (const std::vector<std::size_t>& places : place_) {
    for (std::size_t c = 0; c < columns_; ++c) count += places[c] != c ? 1 : 0;
  }
  return count;
}

std::vector<double> ProgrammedArray::repaired(const std::vector<double>& targets,
                                              std::span<const std::uint8_t> faults,
                                              const device::ConductanceRange& range) {
  const CrossbarOptions& crossbar = target_.crossbar;
  const bool moves = crossbar.remap == FaultRemap::kColumns || crossbar.remap == FaultRemap::kBoth;
  const bool sets = crossbar.remap == FaultRemap::kCells || crossbar.remap == FaultRemap::kBoth;
  // The pair of a column if it were at this place.
  const auto pair_at = [&](std::size_t row, std::size_t column, std::size_t place) {
    const Pair from = pair(row, column), to = pair(row, place);
    const CellPair cells{targets[from.plus], targets[from.minus], device::Fault{faults[to.plus]},
                         device::Fault{faults[to.minus]}};
    CellPair out = sets ? retargeted(cells, range) : cells;
    out.plus = target_on_level(out.plus, range, crossbar.levels);
    out.minus = target_on_level(out.minus, range, crossbar.levels);
    return out;
  };
  const auto error = [&](std::size_t column, std::size_t place) {
    double sum = 0;
    for (std::size_t r = 0; r < rows_; ++r) {
      const Pair aimed = pair(r, column);
      const double drive = drive_[r * columns_ + column];
      const double e = drive * fault_error(pair_at(r, column, place),
                                           targets[aimed.plus] - targets[aimed.minus], range);
      sum += e * e;
    }
    return sum;
  };
  const auto spares = static_cast<std::size_t>(moves ? crossbar.spare_columns : 0);
  std::vector<std::size_t>& places = place_.back();
  places = place_columns(columns_, bit_lines_ - spares, spares, error);

  std::vector<double> out = targets;
  for (std::size_t c = 0; c < columns_; ++c) {
    for (std::size_t r = 0; r < rows_; ++r) {
      const Pair from = pair(r, c), to = pair(r, places[c]);
      if (places[c] != c) {
        out[from.plus] = range.low;
        if (!offset_) out[from.minus] = range.low;
      }
      const CellPair cells = pair_at(r, c, places[c]);
      out[to.plus] = cells.plus;
      out[to.minus] = cells.minus;
    }
  }
  return out;
}

void ProgrammedArray::program_copies(const device::ConductanceRange& range) {
  const auto [low, high] = range;
  const CrossbarOptions& crossbar = target_.crossbar;
  const double most = offset_ ? (high - low) / 2 : high - low;  // of a difference
  std::vector<double> targets = targets_;
  // The residual error of each pair after the copies so far, in uS at the significance of the last
  // one.
  std::vector<double> missing(rows_ * columns_, 0);
  for (std::size_t k = 0; k < static_cast<std::size_t>(crossbar.slices); ++k) {
    const std::uint32_t address = number_ | static_cast<std::uint32_t>(k) << kCopyShift;
    if (residual()) {
      for (double& g : targets) g = target_on_level(g, range, crossbar.levels);
    }
    device::Cells programmed(target_.device, targets, seed_, address);
    place_.emplace_back(columns_);
    std::iota(place_.back().begin(), place_.back().end(), std::size_t{0});
    const auto faults = programmed.faults();
    if (crossbar.remap != FaultRemap::kNone &&
        std::ranges::any_of(faults, [](auto f) { return f != 0; })) {
      programmed = device::Cells(target_.device, repaired(targets, faults, range), seed_, address);
    }
    cells_.push_back(std::move(programmed));
    if (!residual()) continue;
    const auto held = cells_[k].conductance(), spread = cells_[k].read_deviation();
    Random random(seed_, Stream::kResidual, address);
    targets = idle(low, high);
    for (std::size_t r = 0; r < rows_; ++r) {
      for (std::size_t c = 0; c < columns_; ++c) {
        const Pair cells = placed(k, r, c);
        double read = beyond(k, held, r, c);
        read += spread[cells.plus] * random.normal();
        read -= spread[cells.minus] * random.normal();
        double& left = missing[r * columns_ + c];
        left = (left - read) * crossbar.slice_base;
        if (drive_[r * columns_ + c] == 0) continue;
        aim(targets, pair(r, c), std::clamp(left, -most, most));
      }
    }
  }
}

}  // namespace crosstate::crossbar
