// Weight noise of a target, for noise-aware training.
#pragma once

#include <cstdint>

#include "crosstate/crossbar/target.h"
#include "crosstate/integer/network.h"
#include "crosstate/quant/options.h"

namespace crosstate::simulate {

/// Root mean squares over all pairs that hold a weight, relative to the largest weight of the
/// pair's column: the part that is constant within an inference (programming, ageing, wires, after
/// compensation, and all 1/f noise), and the part that changes from read to read. Rounding to the
/// levels of cells is not counted. `floor`: over all columns, the noise of conversions in uA and of
/// drives in uV, relative to the current of the largest cell in a row at full level.
struct TargetNoise {
  double device = 0, read = 0;
  double floor = 0;
};

/// Measured on one chip of this age. Throws Error as Chip does.
TargetNoise target_noise(const integer::IntegerNetwork& network, const crossbar::Target& target,
                         double age, std::uint64_t seed);

/// Sets the training options that describe the arrays of a target: weight noise, `share` times that
/// of the target, and the settings of [quant.array] that are not set.
void train_for(const crossbar::CrossbarOptions& crossbar, const TargetNoise& noise, double share,
               quant::QuantOptions& quant);

}  // namespace crosstate::simulate
