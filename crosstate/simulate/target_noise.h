// How much a target disturbs the weights of a network, for training with noise.
#pragma once

#include <cstdint>

#include "crosstate/crossbar/target.h"
#include "crosstate/integer/network.h"

namespace crosstate {

/// Root mean squares over the pairs of all arrays that hold a weight, relative to the largest
/// weight of the pair's column: what stays (programming, ageing, wires, after compensation), and
/// what changes from read to read. What levels of cells make of weights is no error.
struct TargetNoise {
  double device = 0, read = 0;
};

/// Measured on one chip of that age. Throws Error as Chip does.
TargetNoise target_noise(const IntegerNetwork& network, const Target& target, double age,
                         std::uint64_t seed);

}  // namespace crosstate
