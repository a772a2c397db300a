// Programming of single cells: read, and apply pulses until the value is within tolerance.
#pragma once

#include "crosstate/device/draws.h"
#include "crosstate/device/model.h"

namespace crosstate::device {

struct Verified {
  double conductance = 0;  // uS
  int pulses = 0;          // each after a read; one more read at the end
  bool accepted = false;   // false: stopped after max_pulses
};

/// Programs one cell from the lowest conductance of the model to `target` (uS of the model). A read
/// has the read noise of the model; pulse k then adds pulse_gain times the measured difference,
/// times 1 + pulse_noise xi_k. Pulses keep the cell between the lowest and the highest conductance
/// of the model.
Verified write_verify(const DeviceOptions& options, const DeviceModel& model, double target,
                      const CellDraws& draws);

}  // namespace crosstate::device
