// Real values in the C code of a network: codes of sensors, and functions in floating point.
#pragma once

#include <string>

#include "crosstate/exporter/c_writer.h"

namespace crosstate::exporter {

/// PREFIX_code(); "" without a unit of the sensor.
std::string sensor_function(const NetworkWriter& writer);
/// PREFIX_code_of() and PREFIX_outputs(), which only callers with floating point compile.
std::string float_functions(const NetworkWriter& writer);

}  // namespace crosstate::exporter
