// Programming cell by cell: read, and pulse until the read is near enough.
#pragma once

#include "crosstate/device/draws.h"
#include "crosstate/device/model.h"

namespace crosstate::device {

struct Verified {
  double conductance = 0;  // uS
  int pulses = 0;          // each after a read; one read more at the end
  bool accepted = false;   // false: given up after max_pulses
};

/// Programs one cell from the model's lowest conductance to `target` (uS of the model). A read has
/// the model's read deviation; pulse k then adds pulse_gain of what the read found missing, times
/// 1 + pulse_noise xi_k. A pulse takes the cell no lower than the model's lowest conductance and no
/// higher than its highest, which is all that such a cell can hold.
Verified write_verify(const DeviceOptions& options, const DeviceModel& model, double target,
                      const CellDraws& draws);

}  // namespace crosstate::device
