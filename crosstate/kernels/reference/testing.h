// Shared by the tests of the kernels: random arrays, all instruction sets in turn, and gradients by
// central differences.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::kernels::reference {

inline AlignedFloats uniform_floats(Random& random, std::size_t count, double low, double high) {
  AlignedFloats values(count);
  for (float& v : values) v = static_cast<float>(random.uniform(low, high));
  return values;
}

inline std::vector<double> uniform_doubles(Random& random, std::size_t count, double low,
                                           double high) {
  std::vector<double> values(count);
  for (double& v : values) v = random.uniform(low, high);
  return values;
}

template <class Values>
std::vector<double> to_double(const Values& values) {
  return std::vector<double>(values.begin(), values.end());
}

/// Runs `body` with each instruction set of this machine.
inline void on_every_target(const std::function<void()>& body) {
  for (const std::string& target : kernel_targets()) {
    SCOPED_TRACE(target);
    select_kernel_target(target);
    body();
  }
  select_kernel_target("best");
}

/// got - wanted| <= tolerance * max |wanted|, or times `floor` if that is larger.
template <class Got, class Wanted>
void expect_close(const Got& got, const Wanted& wanted, double tolerance, const char* what,
                  double floor = 1e-30) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  double largest = floor;
  for (const auto w : wanted) largest = std::max(largest, std::fabs(static_cast<double>(w)));
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(got[i]), static_cast<double>(wanted[i]), tolerance * largest)
        << what << ", element " << i;
  }
}

/// Compares `gradient` with central differences of `loss` with respect to each of `values`, which
/// `loss` reads.
inline void expect_gradient(std::vector<double>& values, const std::vector<double>& gradient,
                            const std::function<double()>& loss, const char* what) {
  ASSERT_EQ(values.size(), gradient.size()) << what;
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    values[i] = value + kStep;
    const double above = loss();
    values[i] = value - kStep;
    const double below = loss();
    values[i] = value;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-7 * (1 + std::fabs(gradient[i])))
        << what << ", element " << i;
  }
}

}  // namespace crosstate::kernels::reference
