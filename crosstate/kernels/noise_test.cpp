// Converter noise compared with its specification, and its statistics.
#include "crosstate/kernels/noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/kernels/reference/noise.h"
#include "crosstate/kernels/reference/testing.h"

namespace crosstate::kernels {
namespace {

using reference::on_every_target;

struct Panel {
  AlignedFloats x, y;
  std::vector<std::uint32_t> seeds;
  std::vector<float> deviation;
  std::size_t rows, steps;

  Panel(std::uint32_t number, std::size_t r, std::size_t s) : rows(r), steps(s) {
    Random random(number, Stream::kTest);
    x = reference::uniform_floats(random, rows * steps * kLanes, -3, 3);
    y.resize(x.size());
    for (std::size_t i = 0; i < kLanes; ++i) seeds.push_back(random.bits());
    for (std::size_t i = 0; i < rows; ++i) {
      deviation.push_back(static_cast<float>(random.uniform(0, 2)));
    }
  }
  ConstRows in() const { return {x.data(), steps * kLanes}; }
  Rows out() { return {y.data(), steps * kLanes}; }
  NoiseAddress address(std::uint32_t row = 7, std::uint32_t step = 0xfffffffc) const {
    return {seeds.data(), row, step};
  }
};

TEST(AddNoise, EqualsTheSpecificationOnEveryTarget) {
  on_every_target([] {
    for (std::uint32_t number = 0; number < 20; ++number) {
      Panel fast(number, 1 + number % 7, 1 + number), plain = fast;
      add_noise(fast.address(), fast.rows, fast.steps, fast.deviation.data(), fast.in(),
                fast.out());
      reference::add_noise(plain.address(), plain.rows, plain.steps, plain.deviation.data(),
                           plain.in(), plain.out());
      // Scalar code has no fused multiply-adds.
      reference::expect_close(fast.y, plain.y, 2e-7, "y");
    }
  });
}

TEST(AddNoise, HasTheDeviationAskedForInEveryRow) {
  Panel p(1, 4, 4000);
  add_noise(p.address(0, 0), p.rows, p.steps, p.deviation.data(), p.in(), p.out());
  for (std::size_t r = 0; r < p.rows; ++r) {
    double sum = 0, squares = 0, fourth = 0;
    const auto n = static_cast<double>(p.steps * kLanes);
    for (std::size_t i = 0; i < p.steps * kLanes; ++i) {
      const double v = p.out().row(r)[i] - p.in().row(r)[i];
      sum += v;
      squares += v * v;
      fourth += v * v * v * v;
    }
    const double deviation = p.deviation[r];
    EXPECT_NEAR(sum / n, 0, 4 * deviation / std::sqrt(n));
    EXPECT_NEAR(std::sqrt(squares / n), deviation, 4 * deviation / std::sqrt(2 * n));
    EXPECT_NEAR(fourth / n / std::pow(deviation, 4), 2.7, 0.06);
  }
}

TEST(AddNoise, DrawsAnewForEveryRowStepAndSequence) {
  const std::size_t steps = 3000;
  Panel p(2, 2, steps);
  p.deviation.assign(2, 1.0f);
  add_noise(p.address(0, 0), 2, steps, p.deviation.data(), p.in(), p.out());
  const auto noise = [&](std::size_t r, std::size_t i) {
    return double{p.out().row(r)[i]} - p.in().row(r)[i];
  };
  double rows = 0, times = 0, lanes = 0;
  for (std::size_t i = 0; i + kLanes + 1 < steps * kLanes; ++i) {
    rows += noise(0, i) * noise(1, i);
    times += noise(0, i) * noise(0, i + kLanes);
    lanes += noise(0, i) * noise(0, i + 1);
  }
  const double n = static_cast<double>(steps * kLanes), most = 4 * std::sqrt(n);
  EXPECT_LT(std::abs(rows), most);
  EXPECT_LT(std::abs(times), most);
  EXPECT_LT(std::abs(lanes), most);
}

// So that an adjoint can draw the same noise, also with another division of time.
TEST(AddNoise, DependsOnTheAddressAlone) {
  Panel whole(3, 3, 10), parts = whole;
  add_noise(whole.address(5, 0), 3, 10, whole.deviation.data(), whole.in(), whole.out());
  for (std::size_t t = 0; t < 10; t += 2) {
    add_noise(parts.address(5, static_cast<std::uint32_t>(t)), 3, 2, parts.deviation.data(),
              {parts.x.data() + t * kLanes, 10 * kLanes},
              {parts.y.data() + t * kLanes, 10 * kLanes});
  }
  EXPECT_EQ(parts.y, whole.y);
}

}  // namespace
}  // namespace crosstate::kernels
