// What faulty cells make of weights, and how a programmed array is arranged around them.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "crosstate/device/cells.h"

namespace crosstate {

/// Two cells whose difference counts.
struct CellPair {
  double plus = 0, minus = 0;  // targets, uS
  Fault of_plus = Fault::kNone, of_minus = Fault::kNone;
};

/// The pair with its targets set such that the difference is as near to the one aimed at as the
/// range allows: where one cell is faulty, that of the other. Pairs of two faulty cells stay as
/// they are.
CellPair retargeted(const CellPair& pair, const ConductanceRange& range);

/// How far faults take the difference of a pair from the one aimed at (uS).
double fault_error(const CellPair& pair, double aimed, const ConductanceRange& range);

/// Moves columns to spare places, the worst first, each to the free one where it is best, if that
/// is better than where it is. error(column, place): of a column at a place; column c is at place
/// c, and `spares` free ones begin at first_spare. Returns the place of each column.
std::vector<std::size_t> place_columns(
    std::size_t columns, std::size_t first_spare, std::size_t spares,
    const std::function<double(std::size_t column, std::size_t place)>& error);

}  // namespace crosstate
