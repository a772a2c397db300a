// Effect of rounding on slow states, by rounding mode. That quantized poles stay inside the unit
// circle for every width and coding is tested in quant/poles_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::kernels {
namespace {

constexpr std::size_t kSteps = 784;
constexpr float kLimit = 127;

// A| = 0.999 on the grid of poles, with some angle per step.
std::complex<float> slow_pole(double angle) {
  const std::complex<double> a = std::polar(0.999, angle);
  const auto fixed = [](double part) {
    return static_cast<float>(std::nearbyint(part * 0x1p14) * 0x1p-14);
  };
  return {fixed(a.real()), fixed(a.imag())};
}

std::complex<double> exact(std::complex<float> a, double start) {
  const std::complex<double> wide(a.real(), a.imag());
  return start * std::pow(wide, static_cast<double>(kSteps));
}

struct Ending {
  std::vector<double> re, im;  // by sequence, after kSteps steps without input
};

// Sequences that start at `start`, as seeds 0 .. count - 1.
Ending decay(std::complex<float> a, float start, RoundingMode mode, std::size_t count = kLanes,
             std::uint8_t residue_bits = 14) {
  const float b = 1, c = 0, ar = a.real(), ai = a.imag();
  const ScanModes modes{1, &ar, &ai, &b, &c, &c};
  const AlignedFloats u(kSteps * kLanes, 0);
  AlignedFloats y(kSteps * kLanes);
  Ending end;
  for (std::size_t first = 0; first < count; first += kLanes) {
    std::uint32_t seeds[kLanes];
    AlignedFloats state(scan_state_size(1, mode), 0);
    for (std::size_t i = 0; i < kLanes; ++i) {
      seeds[i] = static_cast<std::uint32_t>(first + i);
      state[i] = start;
    }
    scan_forward(modes, {kLimit, mode, {seeds, 0, 0}, nullptr, &residue_bits}, kSteps, u.data(),
                 y.data(), state.data());
    for (std::size_t i = 0; i < kLanes; ++i) {
      end.re.push_back(static_cast<double>(state[i]));
      end.im.push_back(static_cast<double>(state[kLanes + i]));
    }
  }
  return end;
}

TEST(StateTraps, ASlowStateRoundedToNearestStandsStill) {
  const std::complex<float> a = slow_pole(0);
  EXPECT_NEAR(exact(a, 127).real(), 58, 1.5);
  EXPECT_EQ(decay(a, 127, RoundingMode::kNearest).re[0], 127);
  // Everywhere in the dead band of 0.5 / (1 - |A|) steps, which here includes all codes.
  EXPECT_GT(0.5 / (1 - static_cast<double>(a.real())), 127);
  for (float start = -127; start <= 127; start += 2) {
    EXPECT_EQ(decay(a, start, RoundingMode::kNearest).re[0], start);
  }
}

TEST(StateTraps, StochasticRoundingIsExactInTheMean) {
  constexpr std::size_t kSequences = 1 << 14;
  const auto expect_mean = [](const std::vector<double>& values, double wanted) {
    double sum = 0, squares = 0;
    for (const double x : values) {
      sum += x;
      squares += x * x;
    }
    const auto n = static_cast<double>(values.size());
    const double mean = sum / n, variance = squares / n - mean * mean;
    const double error = std::sqrt(variance / n);  // of the mean
    EXPECT_NEAR(mean, wanted, 4 * error);
    EXPECT_LT(error, 0.1);
    EXPECT_GT(variance, 1);
  };
  for (const double angle : {0.0, 0.01, 0.7, 3.0}) {
    const std::complex<float> a = slow_pole(angle);
    const std::complex<double> wanted = exact(a, 100);
    const Ending end = decay(a, 100, RoundingMode::kStochastic, kSequences);
    expect_mean(end.re, wanted.real());
    if (angle != 0) expect_mean(end.im, wanted.imag());
  }
}

TEST(StateTraps, ANoiseShapedStateFollowsTheExactState) {
  const auto expect_close = [](std::complex<float> a, float start) {
    const std::complex<double> wanted = exact(a, static_cast<double>(start));
    const Ending end = decay(a, start, RoundingMode::kNoiseShaped);
    // |e_k| + |1 - A| sum |A|^j |e|, see integer/certificate.h; 1 for a real A, where |e| <= 1/2.
    const std::complex<double> wide(a.real(), a.imag());
    const double error = wide.imag() == 0 ? 0.5 : std::sqrt(0.5);
    const double bound = error * (1 + std::abs(1.0 - wide) / (1 - std::abs(wide)));
    EXPECT_LE(std::abs(std::complex<double>(end.re[0], end.im[0]) - wanted), bound)
        << "A " << a << ", start " << start;
  };
  for (float start = -127; start <= 127; start += 2) expect_close(slow_pole(0), start);
  for (const double angle : {0.0005, 0.001}) {
    for (float start = -90; start <= 90; start += 3) expect_close(slow_pole(angle), start);
  }
  EXPECT_NEAR(decay(slow_pole(0), 127, RoundingMode::kNoiseShaped).re[0], 58, 2);
}

// The register stops changing below 2^-r / 2 / (1 - |A|) steps, so every bit of the residue halves
// the remainder. A x + e = A S + (1 - A) e adds half a step, reading x another half.
TEST(StateTraps, EveryBitOfTheResidueHalvesTheDeadBand) {
  const std::complex<float> a = slow_pole(0);
  const double gap = 1 - static_cast<double>(a.real());
  for (std::uint8_t bits = 0; bits <= 14; ++bits) {
    const double dead = std::ldexp(0.5, -bits) / gap;
    for (const float start : {127.0f, -100.0f, 31.0f}) {
      const double wanted = exact(a, static_cast<double>(start)).real();
      const double end = decay(a, start, RoundingMode::kNoiseShaped, kLanes, bits).re[0];
      EXPECT_LE(std::abs(end - wanted), dead + 1) << int{bits} << " bits from " << start;
      if (bits < 5) continue;
      EXPECT_NE(end, static_cast<double>(start)) << int{bits};
    }
  }
}

}  // namespace
}  // namespace crosstate::kernels
