// Current-voltage relation of one cell.
#pragma once

#include "crosstate/device/options.h"

namespace crosstate::device {

/// I = g V + nl2 V^2 + nl3 V^3 (uA; g in uS, V in volts): Milo et al., IRPS 2021, for cells of any
/// model; linear if nl2 and nl3 are 0. A cell with conductance 0 is open and carries no current.
inline double current(double g, double V, const DeviceOptions& options) {
  if (g == 0) return 0;
  return V * (g + V * (options.nl2 + V * options.nl3));
}

/// dI/dV (uS).
inline double current_slope(double g, double V, const DeviceOptions& options) {
  if (g == 0) return 0;
  return g + V * (2 * options.nl2 + 3 * V * options.nl3);
}

}  // namespace crosstate::device
