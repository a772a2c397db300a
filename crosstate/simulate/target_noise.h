// How much a target disturbs the weights of a network, for training with noise.
#pragma once

#include <cstdint>

#include "crosstate/crossbar/target.h"
#include "crosstate/integer/network.h"
#include "crosstate/quant/options.h"

namespace crosstate::simulate {

/// Root mean squares over the pairs of all arrays that hold a weight, relative to the largest
/// weight of the pair's column: what stays (programming, ageing, wires, after compensation), and
/// what changes from read to read. What levels of cells make of weights is no error.
struct TargetNoise {
  double device = 0, read = 0;
};

/// Measured on one chip of that age. Throws Error as Chip does.
TargetNoise target_noise(const integer::IntegerNetwork& network, const crossbar::Target& target,
                         double age, std::uint64_t seed);

/// Sets what steps of training can tell of a target's arrays, `share` times its noise: noise on
/// weights, and of [quant.array] what is still open.
void train_for(const crossbar::CrossbarOptions& crossbar, const TargetNoise& noise, double share,
               quant::QuantOptions& quant);

}  // namespace crosstate::simulate
