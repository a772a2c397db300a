#include "crosstate/simulate/target_noise.h"

#include <algorithm>
#include <cmath>

#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {

TargetNoise target_noise(const IntegerNetwork& network, const Target& target, double age,
                         std::uint64_t seed) {
  const Mapping mapping = map_network(network, target.crossbar, 1);
  Chip chip(network, mapping, target, seed, 0);
  chip.age_to(age);
  double device = 0, read = 0, pairs = 0;
  for (std::size_t i = 0; i < mapping.arrays.size(); ++i) {
    const MappedArray& plan = mapping.arrays[i];
    const ProgrammedArray& array = chip.arrays()[i];
    for (std::size_t c = 0; c < plan.columns; ++c) {
      // What cells hold is relative to the level that drives their row.
      const auto level = [&](std::size_t r) {
        return plan.drive.empty() ? 1.0 : double{plan.drive[r * plan.columns + c]};
      };
      double largest = 0;
      for (std::size_t r = 0; r < plan.rows; ++r) {
        const double weight = std::abs(double{plan.weights[r * plan.columns + c]});
        if (weight > 0) largest = std::max(largest, weight / level(r));
      }
      if (largest == 0) continue;
      for (std::size_t r = 0; r < plan.rows; ++r) {
        const double weight = plan.weights[r * plan.columns + c];
        if (weight == 0) continue;
        const double unit = largest * level(r);
        const double held = array.effective()[c * plan.rows + r] + array.correction(r, c);
        const double error = (held - array.aim(r, c)) / unit;
        device += error * error;
        read += array.read_variance()[c * plan.rows + r] / (unit * unit);
        pairs += 1;
      }
    }
  }
  if (pairs == 0) return {};
  return {std::sqrt(device / pairs), std::sqrt(read / pairs)};
}

}  // namespace crosstate
