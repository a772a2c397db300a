// What one kind of memristive cell is like.
#pragma once

#include <string>

#include "crosstate/base/options.h"

namespace crosstate {

struct DeviceOptions {
  double g_min = 0;                          // uS
  double g_max = 25;                         // uS
  double programming_noise = 0.02;           // relative standard deviation, drawn once per cell
  double read_noise = 0.01;                  // relative standard deviation, drawn at every read
  std::string noise_relative_to = "target";  // target | gmax
};

/// Binds the fields of section "device".
void fields(FieldList& list, DeviceOptions& options);
/// Throws Error for a value out of its range and for g_min >= g_max.
void validate(const DeviceOptions& options);

}  // namespace crosstate
