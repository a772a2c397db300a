// One cell of the model gaussian: its programmed conductance and its read noise.
#pragma once

#include <cstdint>

#include "crosstate/device/options.h"

namespace crosstate::device {

/// Address of the random draws of a cell. Chips have different seeds.
struct CellAddress {
  std::uint64_t seed = 0;
  std::uint32_t array = 0;
  std::uint32_t cell = 0;
};

/// g_min and g_max (uS); g_max is 25 if the option is 0.
ConductanceRange gaussian_range(const DeviceOptions& options);

/// Standard deviation (uS) of programming to `target`.
double programming_deviation(const DeviceOptions& options, double target);

/// Conductance (uS) after programming to `target`: Gaussian around it, clipped at 0. The same
/// address gives the same deviate at every noise level.
double program(const DeviceOptions& options, double target, const CellAddress& address);

/// Standard deviation (uS) between reads of a cell with this conductance.
double read_deviation(const DeviceOptions& options, double conductance);

}  // namespace crosstate::device
