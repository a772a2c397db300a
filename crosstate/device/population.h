// Statistics of many devices programmed to the same target.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/device/cells.h"

namespace crosstate::device {

struct PopulationOptions {
  double target_conductance = -1;  // uS; -1: the middle of the range
  std::uint64_t count = 100000;    // number of devices
  double time = 0;                 // s after programming
  int bins = 100;                  // of the histogram
};

/// Binds the fields of section "population".
void fields(FieldList& list, PopulationOptions& options);

struct Bin {
  double centre = 0;        // uS
  std::uint64_t count = 0;  // devices
  double density = 0;       // share of the devices per uS
};

struct Population {
  double target = 0;               // uS
  double mean = 0, deviation = 0;  // uS; standard deviation of the sample, with n - 1
  double lowest = 0, highest = 0;  // uS
  std::vector<std::pair<double, double>> quantiles;    // share, uS
  double read_deviation = 0, inference_deviation = 0;  // uS, root mean squares over the devices
  std::vector<Bin> histogram;                          // equal bins from lowest to highest
  ProgrammingSummary programming;
};

/// Programs `count` devices to one target, ages them, and reads all of them. Device i has the draws
/// of cell i % 65536 of array i / 65536, so the result does not depend on the number of threads.
/// Throws Error for a target outside the range of the model and a time that it does not define.
Population sample_devices(const DeviceOptions& device, const PopulationOptions& options,
                          std::uint64_t seed, ThreadPool& pool);

/// conductance_uS,count,density: one line per bin.
std::string histogram_csv(const std::vector<Bin>& histogram);

}  // namespace crosstate::device
