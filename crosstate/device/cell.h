// One cell of the model gaussian: its programmed conductance and its read noise.
#pragma once

#include <cstdint>

#include "crosstate/device/options.h"

namespace crosstate::device {

/// The address of a cell's draws. Chips differ by their seed.
struct CellAddress {
  std::uint64_t seed = 0;
  std::uint32_t array = 0;
  std::uint32_t cell = 0;
};

/// g_min and g_max (uS), the latter 25 where it is 0.
ConductanceRange gaussian_range(const DeviceOptions& options);

/// Standard deviation (uS) of programming to `target`.
double programming_deviation(const DeviceOptions& options, double target);

/// Conductance (uS) after programming to `target`: Gaussian around it, cut off at 0. The same
/// address gives the same deviate, whatever the noise level.
double program(const DeviceOptions& options, double target, const CellAddress& address);

/// Standard deviation (uS) from one read to the next of a cell that holds `conductance`.
double read_deviation(const DeviceOptions& options, double conductance);

}  // namespace crosstate::device
