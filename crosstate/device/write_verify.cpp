#include "crosstate/device/write_verify.h"

#include <algorithm>
#include <cmath>

namespace crosstate::device {

Verified write_verify(const DeviceOptions& options, const DeviceModel& model, double target,
                      const CellDraws& draws) {
  const ConductanceRange range = model.range();
  const double tolerance = options.tolerance * range.high;
  Verified cell{range.low, 0, false};
  for (;; ++cell.pulses) {
    const auto k = static_cast<std::uint32_t>(cell.pulses);
    double& g = cell.conductance;
    const double noise = model.read_deviation(g);
    const double missing = target - g - (noise > 0 ? noise * draws.verify(k) : 0);
    cell.accepted = std::abs(missing) <= tolerance;
    if (cell.accepted || cell.pulses == options.max_pulses) return cell;
    const double added = options.pulse_gain * missing * (1 + options.pulse_noise * draws.pulse(k));
    g = std::clamp(g + added, range.low, range.high);
  }
}

}  // namespace crosstate::device
