// Shared by the tests of device models: ageing of single cells, and moments of many.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/device/draws.h"
#include "crosstate/device/model.h"
#include "crosstate/device/options.h"

namespace crosstate::device::reference {

/// The default settings of a model.
inline DeviceOptions device_of(const std::string& model) {
  DeviceOptions options;
  options.model = model;
  return options;
}

/// Conductances of cells at `seconds` after they were programmed to these values, all of which are
/// the target, too, unless another one is given.
inline std::vector<double> aged(const DeviceModel& model, const std::vector<double>& programmed,
                                double seconds, std::uint64_t seed = 5, double target = -1) {
  const std::vector<double> targets =
      target < 0 ? programmed : std::vector<double>(programmed.size(), target);
  std::vector<double> g(programmed.size());
  model.age({targets, programmed, seed, 0}, seconds, g);
  return g;
}

inline CellDraws draws_of(std::size_t cell, std::uint64_t seed = 5) {
  return CellDraws({seed, 0, static_cast<std::uint32_t>(cell)});
}

inline std::vector<double> programmed_cells(const DeviceModel& model, double target,
                                            std::size_t count, std::uint64_t seed = 5) {
  std::vector<double> g;
  for (std::size_t i = 0; i < count; ++i) g.push_back(model.programmed(target, draws_of(i, seed)));
  return g;
}

/// Expects a normal distribution: mean and standard deviation within four standard errors.
inline void expect_normal(const std::vector<double>& values, double mean, double deviation) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  for (const double v : values) squares += (v - sum / n) * (v - sum / n);
  EXPECT_NEAR(sum / n, mean, 4 * deviation / std::sqrt(n) + 1e-12);
  EXPECT_NEAR(std::sqrt(squares / n), deviation, 4 * deviation / std::sqrt(2 * n) + 1e-12);
}

}  // namespace crosstate::device::reference
