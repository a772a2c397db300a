#include "crosstate/device/cell.h"

#include <algorithm>

#include "crosstate/base/random.h"

namespace crosstate::device {
namespace {

double noise_base(const DeviceOptions& options, double conductance) {
  return options.noise_relative_to == NoiseBase::kGmax ? gaussian_range(options).high : conductance;
}

}  // namespace

ConductanceRange gaussian_range(const DeviceOptions& options) {
  return {options.g_min, options.g_max > 0 ? options.g_max : 25};
}

double programming_deviation(const DeviceOptions& options, double target) {
  return options.programming_noise * noise_base(options, target);
}

double program(const DeviceOptions& options, double target, const CellAddress& address) {
  const double deviation = programming_deviation(options, target);
  if (deviation == 0) return target;
  Random random(address.seed, Stream::kProgramming, address.array, address.cell);
  return std::max(0.0, target + deviation * random.normal());
}

double read_deviation(const DeviceOptions& options, double conductance) {
  return options.read_noise * noise_base(options, conductance);
}

}  // namespace crosstate::device
