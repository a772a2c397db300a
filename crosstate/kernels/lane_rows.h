// Between sequences as the caller has them in memory and panels of 16 lanes.
#pragma once

#include <cstddef>

#include "crosstate/base/lanes.h"

namespace crosstate::kernels {

/// Rows of 16 sequences: column c of row r of lane i is lane[i][r * by_row + c].
template <class T>
struct LaneRows {
  T* lane[kLanes];
  std::ptrdiff_t by_row;
};

/// Places in a panel, in floats and multiples of 16: lane i of column c of row r is at
/// data[r * by_row + c * by_column + i]. The panel starts at a 64-byte boundary.
struct PanelPlaces {
  std::size_t by_row, by_column;
};

/// Copies rows into a panel.
void to_panel(const LaneRows<const float>& from, std::size_t rows, std::size_t columns,
              PanelPlaces places, float* panel);

/// Copies a panel into rows.
void from_panel(const float* panel, PanelPlaces places, std::size_t rows, std::size_t columns,
                const LaneRows<float>& to);

}  // namespace crosstate::kernels
