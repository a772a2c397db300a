// Effect of stuck-at and open faults on weights, and repair of an array by compensation within
// pairs and by spare columns.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "crosstate/device/cells.h"

namespace crosstate::crossbar {

/// Two cells whose difference represents a value.
struct CellPair {
  double plus = 0, minus = 0;  // targets, uS
  device::Fault of_plus = device::Fault::kNone, of_minus = device::Fault::kNone;
};

/// The pair with targets whose difference is as close to the intended one as the conductance range
/// allows: if one cell is faulty, the target of the other one is changed. Pairs of two faulty cells
/// are returned unchanged.
CellPair retargeted(const CellPair& pair, const device::ConductanceRange& range);

/// Deviation of a pair's difference from the intended one due to faults (uS).
double fault_error(const CellPair& pair, double aimed, const device::ConductanceRange& range);

/// Moves columns to spare places, the one with the largest error first, each to the free place
/// where its error is smallest, if that reduces it. error(column, place) is the error of a column
/// at a place; column c starts at place c, and `spares` free places begin at first_spare. Returns
/// the place of each column.
std::vector<std::size_t> place_columns(
    std::size_t columns, std::size_t first_spare, std::size_t spares,
    const std::function<double(std::size_t column, std::size_t place)>& error);

}  // namespace crosstate::crossbar
