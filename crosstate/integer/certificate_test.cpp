// Bounds hold on adversarial inputs, and are attained if a single input can attain them.
#include "crosstate/integer/certificate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>

#include "crosstate/base/random.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

std::map<std::string, std::int64_t> bounds_of(const Certificate& c) {
  std::map<std::string, std::int64_t> bounds;
  for (const AccumulatorBound& b : c.accumulators) bounds[b.name] = b.bound;
  return bounds;
}

// Extreme inputs: constant, alternating, with random signs over random intervals.
std::vector<std::vector<std::int32_t>> hostile(const IntegerNetwork& n, std::uint64_t seed) {
  std::vector<std::vector<std::int32_t>> sequence;
  Random random(seed, Stream::kTest, 9);
  std::vector<std::int32_t> x(n.inputs, n.input.quant_max);
  std::size_t hold = 0;
  for (int t = 0; t < 200; ++t) {
    if (hold-- == 0) {
      hold = seed == 0 ? 1000 : seed == 1 ? 0 : random.below(30);
      for (auto& v : x) {
        const bool up = seed == 0 || (seed == 1 ? t % 2 == 0 : random.below(2) == 0);
        v = up ? n.input.quant_max : n.input.quant_min;
      }
    }
    sequence.push_back(x);
  }
  return sequence;
}

TEST(Certificate, NoHostileInputExceedsABound) {
  for (int number = 0; number < 30; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    const IntegerNetwork n = fixtures::network(number, set);
    const Certificate certificate = certify(n);
    EXPECT_TRUE(certificate.fits_int64);
    auto bounds = bounds_of(certificate);
    ReferenceExecutor executor(n);
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      executor.reset();
      for (const auto& x : hostile(n, seed)) executor.step(x);
      executor.result();
    }
    const AccumulatorPeaks& peaks = executor.peaks();
    EXPECT_LE(peaks.encoder, bounds.at("encoder"));
    EXPECT_LE(peaks.decoder, 200 * bounds.at("decoder, per step"));
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      const std::string at = "layers." + std::to_string(l) + ".";
      EXPECT_LE(peaks.blocks[l].advance, bounds.at(at + "state"));
      EXPECT_LE(peaks.blocks[l].output, bounds.at(at + "output"));
      EXPECT_LE(peaks.blocks[l].linear, bounds.at(at + "linear"));
      EXPECT_LE(peaks.blocks[l].state, n.state_limit);
    }
  }
}

// Reduces gains, then time constants, until the certificate proves that no mode saturates.
void clear_states(IntegerNetwork& n) {
  for (int attempt = 0; attempt < 40; ++attempt) {
    const Certificate certificate = certify(n);
    bool cleared = true;
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      IntegerBlock& b = n.blocks[l];
      const StateBound& bound = certificate.states[l];
      if (bound.never_saturate == bound.modes) continue;
      cleared = false;
      for (std::size_t i = 0; i < b.ar.size(); ++i) {
        if (b.input_shift[i] > 0) {
          --b.input_shift[i];
          continue;
        }
        b.ar[i] = static_cast<std::int16_t>(b.ar[i] / 2);
        if (n.complex) b.ai[i] = static_cast<std::int16_t>(b.ai[i] / 2);
      }
    }
    if (cleared) return;
  }
  FAIL() << "states that the certificate never clears";
}

TEST(Certificate, StatesThatItClearsDoNotSaturate) {
  std::int64_t moved = 0;
  for (int number = 0; number < 20; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    IntegerNetwork n = fixtures::network(number, set);
    ASSERT_NO_FATAL_FAILURE(clear_states(n));
    const Certificate certificate = certify(n);
    ReferenceExecutor executor(n);
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      executor.reset();
      for (const auto& x : hostile(n, seed)) executor.step(x);
    }
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      const StateBound& bound = certificate.states[l];
      ASSERT_EQ(bound.never_saturate, bound.modes);
      EXPECT_EQ(executor.usage().blocks[l].state.clipped, 0);
      EXPECT_LE(static_cast<double>(executor.peaks().blocks[l].state),
                bound.largest * n.state_limit + 0.5);
      moved += executor.peaks().blocks[l].state;
    }
  }
  EXPECT_GT(moved, 0);
}

TEST(Certificate, ClearsNoStateThatSaturates) {
  std::int64_t clipped = 0;
  for (int number = 0; number < 20; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    IntegerNetwork n = fixtures::network(number, set);
    n.state_limit = std::max(1, n.state_limit / 8);
    const Certificate certificate = certify(n);
    ReferenceExecutor executor(n);
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      executor.reset();
      for (const auto& x : hostile(n, seed)) executor.step(x);
    }
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      const std::int64_t of_block = executor.usage().blocks[l].state.clipped;
      clipped += of_block;
      if (of_block > 0) {
        EXPECT_LT(certificate.states[l].never_saturate, certificate.states[l].modes);
      }
    }
  }
  EXPECT_GT(clipped, 0);
}

// One mode and the same recurrence in binary64, on inputs that a rounded state can hardly follow.
TEST(Certificate, NoRoundingErrorExceedsItsBound) {
  double closest = 0;
  for (std::uint32_t number = 0; number < 400; ++number) {
    SCOPED_TRACE(number);
    Random random(number, Stream::kTest, 11);
    IntegerNetwork n = fixtures::network(1, fixtures::sequences(1));
    n.state_bits = 16;  // no state saturates
    n.state_limit = 32767;
    n.state_rounding =
        number % 5 == 0 ? kernels::RoundingMode::kNearest : kernels::RoundingMode::kNoiseShaped;
    IntegerBlock& b = n.blocks[0];
    n.blocks.resize(1);
    const double radius = 1 - std::exp2(-random.uniform(1, 11)), angle = random.normal() / 4;
    b.ar.assign(b.ar.size(), static_cast<std::int16_t>(16384 * radius * std::cos(angle)));
    b.ai.assign(b.ar.size(), static_cast<std::int16_t>(16384 * radius * std::sin(angle)));
    b.input_shift.assign(b.ar.size(), 6);
    const auto bits = static_cast<std::uint8_t>(random.below(15));
    b.residue_bits.clear();
    if (number % 5 > 0) b.residue_bits.assign(b.ar.size(), bits);
    b.cr.assign(b.cr.size(), 1);
    b.ci.assign(b.ci.size(), 1);
    const double bound = certify(n).states[0].state_error;

    const std::complex<double> a(b.ar[0] / 16384.0, b.ai[0] / 16384.0);
    std::complex<double> exact = 0;
    std::int64_t re = 0, im = 0, er = 0, ei = 0;
    const int dropped = quant::kPoleFraction - (b.residue_bits.empty() ? 0 : bits);
    const auto part = [&](std::int64_t sum, std::int64_t& x, std::int64_t& residue) {
      const std::int64_t held = shifted(sum, dropped);
      x = shifted(held, quant::kPoleFraction - dropped);
      residue = (held << dropped) - x * 16384;
    };
    std::int64_t u = 0;
    for (int t = 0; t < 3000; ++t) {
      if (t % 40 == 0) u = static_cast<std::int64_t>(random.below(201)) - 100;
      const std::int64_t vr = b.ar[0] * re - b.ai[0] * im + u * 64 + er;
      const std::int64_t vi = b.ai[0] * re + b.ar[0] * im + ei;
      part(vr, re, er);
      part(vi, im, ei);
      exact = a * exact + std::complex<double>(static_cast<double>(u) / 256, 0);
      const double error =
          std::abs(std::complex<double>(static_cast<double>(re), static_cast<double>(im)) - exact);
      ASSERT_LE(error, bound * (1 + 1e-9));
      closest = std::max(closest, error / bound);
    }
  }
  EXPECT_GT(closest, 0.5);
}

// For a slow real mode: with rounding to nearest the state stops within the time constant times
// half a step, a noise-shaped state follows to within about a step.
TEST(Certificate, RoundingErrorsShrinkWithTheResidue) {
  IntegerNetwork n = fixtures::network(3, fixtures::sequences(3));
  ASSERT_FALSE(n.complex);
  n.state_rounding = kernels::RoundingMode::kNearest;
  n.blocks.resize(1);
  IntegerBlock& b = n.blocks[0];
  b.residue_bits.clear();
  b.ar.assign(b.ar.size(), 16384 - 16);  // a time constant of 1024 steps
  const double nearest = certify(n).states[0].state_error;
  EXPECT_DOUBLE_EQ(nearest, 512);
  n.state_rounding = kernels::RoundingMode::kNoiseShaped;
  double before = nearest, outputs = 1e300;
  for (std::uint8_t bits = 0; bits <= 14; ++bits) {
    b.residue_bits.assign(b.ar.size(), bits);
    const StateBound bound = certify(n).states[0];
    if (bits == 0) {
      EXPECT_EQ(bound.state_error, nearest);
    } else {
      EXPECT_DOUBLE_EQ(bound.state_error, 1 + (bits < 14 ? std::ldexp(512, -bits) : 0));
      EXPECT_LT(bound.state_error, before);
      EXPECT_LT(bound.output_error, outputs);
    }
    before = bound.state_error;
    outputs = bound.output_error;
  }
}

TEST(Certificate, TheEncodersBoundIsReached) {
  for (int number = 0; number < 30; ++number) {
    const data::Dataset set = fixtures::sequences(number);
    IntegerNetwork n = fixtures::network(number, set);
    n.input = {-7, 7, 1};
    ReferenceExecutor executor(n);
    for (std::size_t h = 0; h < n.channels; ++h) {
      std::vector<std::int32_t> x;
      const int sign = n.encoder.bias[h] < 0 ? -1 : 1;
      for (std::size_t i = 0; i < n.inputs; ++i) {
        x.push_back(n.encoder.weight[h * n.inputs + i] < 0 ? -7 * sign : 7 * sign);
      }
      executor.step(x);
    }
    EXPECT_EQ(executor.peaks().encoder, bounds_of(certify(n)).at("encoder"));
  }
}

TEST(Certificate, CountsTheBitsOfAnAccumulator) {
  EXPECT_EQ((AccumulatorBound{"", 127}).bits(), 8);
  EXPECT_EQ((AccumulatorBound{"", 128}).bits(), 9);
  EXPECT_EQ((AccumulatorBound{"", 0}).bits(), 1);
}

}  // namespace
}  // namespace crosstate::integer
