// The recurrence in 16-bit lanes compared with its specification and with scan_forward().
#include "crosstate/kernels/paired_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "crosstate/kernels/reference/paired_scan.h"
#include "crosstate/kernels/reference/testing.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::kernels {
namespace {

using reference::on_every_target;

using Pairs = std::vector<std::int32_t, AlignedAllocator<std::int32_t>>;

struct Channel {
  std::vector<std::int32_t> re, im, out, drive;
  std::vector<std::uint8_t> residue_bits;
  Pairs state;
  AlignedFloats ar, ai, b, cr, ci, u, y, floats;
  std::int16_t limit = 0;

  PairedModes paired() const {
    return {re.size(),  re.data(),    im.data(),
            out.data(), drive.data(), residue_bits.empty() ? nullptr : residue_bits.data()};
  }
};

// Poles anywhere in the unit circle, states of 2 to 14 bits, inputs and gains as large as they may
// be; residues of 0 to 14 bits.
Channel random_channel(Random& random, std::size_t modes, std::size_t steps, bool complex,
                       bool residues) {
  Channel c;
  const auto whole = [&](double most) {
    return static_cast<std::int16_t>(std::lround(random.uniform(-most, most)));
  };
  c.limit = static_cast<std::int16_t>((1 << (1 + random.below(13))) - 1);
  const double one = 1 << kPairedFraction;
  double input = 32767;
  for (std::size_t n = 0; n < modes; ++n) {
    const double angle = complex ? random.uniform(0, 6.3) : 0, size = random.uniform(0, one);
    const auto ar = static_cast<std::int16_t>(std::lround(size * std::cos(angle)));
    const auto ai = static_cast<std::int16_t>(complex ? std::lround(size * std::sin(angle)) : 0);
    const std::int16_t cr = whole(127), ci = complex ? whole(127) : std::int16_t{0};
    c.ar.push_back(std::ldexp(static_cast<float>(ar), -kPairedFraction));
    c.ai.push_back(std::ldexp(static_cast<float>(ai), -kPairedFraction));
    c.cr.push_back(cr);
    c.ci.push_back(ci);
    const auto bits = static_cast<int>(random.below(kPairedFraction + 1));
    c.drive.push_back(pair_of(static_cast<std::int16_t>(1 << bits), 1 << (kPairedFraction - 1)));
    c.b.push_back(std::ldexp(1.0f, bits - kPairedFraction));
    c.re.push_back(pair_of(ar, static_cast<std::int16_t>(-ai)));
    c.im.push_back(pair_of(ai, ar));
    c.out.push_back(pair_of(cr, static_cast<std::int16_t>(-ci)));
    const double offset = residues ? 4 * one : one;
    const double rest = one * one * 4 - 2 * (std::abs(ar) + std::abs(ai)) * c.limit - offset;
    input = std::min(input, std::floor(std::ldexp(rest, -bits - 1)));
  }
  for (std::size_t i = 0; i < steps * kLanes; ++i) c.u.push_back(whole(input));
  c.y = reference::uniform_floats(random, steps * kLanes, -100, 100);
  for (float& y : c.y) y = std::round(y);
  for (std::size_t i = 0; i < modes * kLanes; ++i) {
    c.state.push_back(pair_of(whole(c.limit), complex ? whole(c.limit) : std::int16_t{0}));
  }
  for (std::size_t n = 0; residues && n < modes; ++n) {
    const auto bits = static_cast<std::uint8_t>(random.below(kPairedFraction + 1));
    c.residue_bits.push_back(bits);
    const auto residue = [&] {
      const int units = static_cast<int>(random.below(1u << bits)) - (1 << bits) / 2;
      return static_cast<std::int16_t>(units * (1 << (kPairedFraction - bits)));
    };
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::int16_t first = bits == 0 ? std::int16_t{0} : residue();
      c.state.push_back(pair_of(first, complex && bits > 0 ? residue() : std::int16_t{0}));
    }
  }
  // In floats: all states, then all residues.
  for (std::size_t first = 0; first < c.state.size(); first += modes * kLanes) {
    const float unit = first == 0 ? 1.0f : std::ldexp(1.0f, -kPairedFraction);
    for (std::size_t n = 0; n < modes; ++n) {
      const std::int32_t* const words = c.state.data() + first + n * kLanes;
      for (std::size_t i = 0; i < kLanes; ++i) c.floats.push_back(unit * first_of(words[i]));
      for (std::size_t i = 0; i < kLanes; ++i) c.floats.push_back(unit * second_of(words[i]));
    }
  }
  return c;
}

TEST(PairedScan, EqualsTheSpecificationOnEveryTarget) {
  on_every_target([] {
    for (std::uint32_t number = 0; number < 240; ++number) {
      SCOPED_TRACE(number);
      Random random(number, Stream::kTest);
      const std::size_t modes = 1 + random.below(11), steps = 1 + random.below(50);
      const bool residues = number % 4 > 0;
      Channel fast = random_channel(random, modes, steps, number % 3 > 0, residues), plain = fast;
      ASSERT_EQ(fast.state.size(), paired_state_size(modes, residues));
      paired_scan(fast.paired(), fast.limit, steps, fast.u.data(), fast.y.data(),
                  fast.state.data());
      reference::paired_scan(plain.paired(), plain.limit, steps, plain.u.data(), plain.y.data(),
                             plain.state.data());
      EXPECT_EQ(fast.y, plain.y);
      EXPECT_EQ(fast.state, plain.state);
    }
  });
}

TEST(PairedScan, IsNearestWithoutResidueBits) {
  on_every_target([] {
    for (std::uint32_t number = 0; number < 60; ++number) {
      SCOPED_TRACE(number);
      Random random(number, Stream::kTest);
      const std::size_t modes = 1 + random.below(11), steps = 1 + random.below(50);
      Channel shaped = random_channel(random, modes, steps, number % 3 > 0, true);
      std::fill(shaped.residue_bits.begin(), shaped.residue_bits.end(), std::uint8_t{0});
      std::fill_n(shaped.state.begin() + static_cast<std::ptrdiff_t>(modes * kLanes),
                  modes * kLanes, 0);
      Channel nearest = shaped;
      nearest.residue_bits.clear();
      nearest.state.resize(modes * kLanes);
      paired_scan(shaped.paired(), shaped.limit, steps, shaped.u.data(), shaped.y.data(),
                  shaped.state.data());
      paired_scan(nearest.paired(), nearest.limit, steps, nearest.u.data(), nearest.y.data(),
                  nearest.state.data());
      EXPECT_EQ(shaped.y, nearest.y);
      nearest.state.resize(2 * modes * kLanes, 0);
      EXPECT_EQ(shaped.state, nearest.state);
    }
  });
}

// The register of r fraction bits loses half a unit of its last place in a step at most; the state
// loses nothing to its own rounding.
TEST(PairedScan, KeepsWhatItsRegisterHolds) {
  on_every_target([] {
    const std::int16_t a = (1 << kPairedFraction) - 20;  // a time constant of 819 steps
    const std::int32_t re = pair_of(a, 0), im = pair_of(0, a), out = pair_of(1, 0), drive = 0;
    constexpr std::size_t kSteps = 800;
    for (std::uint8_t bits = 0; bits <= kPairedFraction; ++bits) {
      AlignedFloats in(kSteps * kLanes, 0.0f), y(kSteps * kLanes, 0.0f);
      Pairs state(2 * kLanes, 0);
      std::fill_n(state.begin(), kLanes, pair_of(100, 0));
      paired_scan({1, &re, &im, &out, &drive, &bits}, 127, kSteps, in.data(), y.data(),
                  state.data());
      const double exact = 100 * std::pow(std::ldexp(a, -kPairedFraction), kSteps);
      const double held =
          first_of(state[0]) + std::ldexp(first_of(state[kLanes]), -kPairedFraction);
      // Rounding errors may all have the same sign: up to half a place times the time constant.
      EXPECT_LE(std::abs(held - exact), std::ldexp(819.2, -bits - 1) + 1) << int{bits};
      if (bits >= kPairedFraction - 2) {
        EXPECT_NEAR(held, exact, 1) << int{bits};
      }
    }
  });
}

TEST(PairedScan, EqualsTheScanInFloats) {
  on_every_target([] {
    for (std::uint32_t number = 0; number < 160; ++number) {
      SCOPED_TRACE(number);
      Random random(number, Stream::kTest);
      const std::size_t modes = 1 + random.below(11), steps = 1 + random.below(50);
      const bool complex = number % 3 > 0, residues = number % 2 > 0;
      Channel c = random_channel(random, modes, steps, complex, residues);
      // Sums of more bits than a float holds.
      if (c.limit > (residues ? 127 : 255)) continue;
      AlignedFloats y = c.y;
      const ScanModes floats{modes,      c.ar.data(), complex ? c.ai.data() : nullptr,
                             c.b.data(), c.cr.data(), complex ? c.ci.data() : nullptr};
      StateRounding rounding{static_cast<float>(c.limit)};
      if (residues) {
        rounding.mode = RoundingMode::kNoiseShaped;
        rounding.residue_bits = c.residue_bits.data();
      }
      ASSERT_EQ(c.floats.size(), scan_state_size(modes, rounding.mode));
      scan_forward(floats, rounding, steps, c.u.data(), y.data(), c.floats.data());
      paired_scan(c.paired(), c.limit, steps, c.u.data(), c.y.data(), c.state.data());
      EXPECT_EQ(c.y, y);
    }
  });
}

TEST(PairedScan, SaturatesAtBothEnds) {
  on_every_target([] {
    const std::int32_t re = pair_of(1 << kPairedFraction, 0), out = pair_of(1, 0);
    const std::int32_t drive = pair_of(1 << kPairedFraction, 1 << (kPairedFraction - 1));
    const std::int32_t im = pair_of(0, 1 << kPairedFraction);
    for (const float u : {100.0f, -100.0f}) {
      AlignedFloats in(3 * kLanes, u), y(3 * kLanes, 0.0f);
      Pairs state(kLanes, 0);
      paired_scan({1, &re, &im, &out, &drive}, 127, 3, in.data(), y.data(), state.data());
      EXPECT_EQ(y[0], u);
      EXPECT_EQ(y[kLanes], std::copysign(127.0f, u));
      EXPECT_EQ(y[2 * kLanes], std::copysign(127.0f, u));
    }
  });
}

TEST(PairedScan, ForgetsTheResidueOfASaturatedState) {
  on_every_target([] {
    const std::uint8_t bits = 14;
    const std::int32_t re = pair_of(1 << kPairedFraction, 0), out = pair_of(1, 0);
    const std::int32_t im = pair_of(0, 1 << kPairedFraction);
    const std::int32_t drive = pair_of(1 << (kPairedFraction - 2), 0);
    for (const int sign : {1, -1}) {
      // 126.75 and a quarter of 1 is 127, which the state holds; then come 127.25 and 128.25.
      AlignedFloats in(3 * kLanes, static_cast<float>(sign)), y(3 * kLanes, 0.0f);
      std::fill_n(in.data() + 2 * kLanes, kLanes, 4.0f * static_cast<float>(sign));
      Pairs state(2 * kLanes, pair_of(static_cast<std::int16_t>(sign * 127), 0));
      std::fill_n(state.data() + kLanes, kLanes,
                  pair_of(static_cast<std::int16_t>(-sign * 4096), 0));
      paired_scan({1, &re, &im, &out, &drive, &bits}, 127, 2, in.data(), y.data(), state.data());
      EXPECT_EQ(first_of(state[0]), sign * 127);
      EXPECT_EQ(first_of(state[kLanes]), sign * 4096);
      paired_scan({1, &re, &im, &out, &drive, &bits}, 127, 1, in.data() + 2 * kLanes, y.data(),
                  state.data());
      EXPECT_EQ(first_of(state[0]), sign * 127);
      EXPECT_EQ(state[kLanes], 0);
    }
  });
}

}  // namespace
}  // namespace crosstate::kernels
