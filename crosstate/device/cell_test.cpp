#include "crosstate/device/cell.h"

#include <gtest/gtest.h>

#include <cmath>

namespace crosstate::device {
namespace {

struct Moments {
  double mean = 0, deviation = 0;
};

constexpr std::uint32_t kCells = 40000;

Moments programmed(const DeviceOptions& options, double target) {
  double sum = 0, squares = 0;
  for (std::uint32_t cell = 0; cell < kCells; ++cell) {
    const double g = program(options, target, {3, 7, cell}) - target;
    sum += g;
    squares += g * g;
  }
  const double mean = sum / kCells;
  return {mean + target, std::sqrt(squares / kCells - mean * mean)};
}

// Mean and standard deviation are within four standard errors of theory.
void expect_gaussian(const Moments& found, double mean, double deviation) {
  EXPECT_NEAR(found.mean, mean, 4 * deviation / std::sqrt(kCells));
  EXPECT_NEAR(found.deviation, deviation, 4 * deviation / std::sqrt(2.0 * kCells));
}

TEST(Cell, SpreadsInProportionToTheTarget) {
  DeviceOptions options;
  options.programming_noise = 0.05;
  for (const double target : {2.0, 10.0, 25.0}) {
    expect_gaussian(programmed(options, target), target, 0.05 * target);
  }
}

TEST(Cell, SpreadsByTheLargestConductance) {
  DeviceOptions options;
  options.noise_relative_to = NoiseBase::kGmax;
  for (const double target : {5.0, 25.0}) {
    expect_gaussian(programmed(options, target), target, 0.02 * 25);
  }
}

TEST(Cell, NeverHoldsLessThanNothing) {
  DeviceOptions options;
  options.noise_relative_to = NoiseBase::kGmax;
  std::uint32_t zeros = 0;
  for (std::uint32_t cell = 0; cell < kCells; ++cell) {
    const double g = program(options, 0, {1, 1, cell});
    ASSERT_GE(g, 0);
    zeros += g == 0 ? 1 : 0;
  }
  EXPECT_NEAR(zeros, kCells / 2.0, 4 * std::sqrt(kCells / 4.0));
}

TEST(Cell, HoldsTheTargetWithoutNoise) {
  DeviceOptions options;
  options.programming_noise = 0;
  EXPECT_EQ(program(options, 12.5, {1, 2, 3}), 12.5);
}

TEST(Cell, DependsOnEveryPartOfItsAddress) {
  const DeviceOptions options;
  const double g = program(options, 10, {1, 2, 3});
  EXPECT_EQ(program(options, 10, {1, 2, 3}), g);
  EXPECT_NE(program(options, 10, {2, 2, 3}), g);
  EXPECT_NE(program(options, 10, {1, 3, 3}), g);
  EXPECT_NE(program(options, 10, {1, 2, 4}), g);
}

TEST(Cell, ReadsVaryByTargetOrByTheLargestConductance) {
  DeviceOptions options;
  EXPECT_DOUBLE_EQ(read_deviation(options, 5), 0.05);
  EXPECT_DOUBLE_EQ(read_deviation(options, 0), 0);
  options.noise_relative_to = NoiseBase::kGmax;
  EXPECT_DOUBLE_EQ(read_deviation(options, 5), 0.25);
  EXPECT_DOUBLE_EQ(read_deviation(options, 0), 0.25);
}

}  // namespace
}  // namespace crosstate::device
