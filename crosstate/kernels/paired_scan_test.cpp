// The recurrence in 16-bit lanes against its specification and against scan_forward().
#include "crosstate/kernels/paired_scan.h"

#include <gtest/gtest.h>

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
  Pairs state;
  AlignedFloats ar, ai, b, cr, ci, u, y, floats;
  std::int16_t limit = 0;

  PairedModes paired() const { return {re.size(), re.data(), im.data(), out.data(), drive.data()}; }
};

// Poles anywhere in the unit circle, states of 2 to 14 bits, inputs and gains as large as they may
// be.
Channel random_channel(Random& random, std::size_t modes, std::size_t steps, bool complex) {
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
    const double rest = one * one * 4 - 2 * (std::abs(ar) + std::abs(ai)) * c.limit - one;
    input = std::min(input, std::floor(std::ldexp(rest, -bits - 1)));
  }
  for (std::size_t i = 0; i < steps * kLanes; ++i) c.u.push_back(whole(input));
  c.y = reference::uniform_floats(random, steps * kLanes, -100, 100);
  for (float& y : c.y) y = std::round(y);
  for (std::size_t i = 0; i < modes * kLanes; ++i) {
    c.state.push_back(pair_of(whole(c.limit), complex ? whole(c.limit) : std::int16_t{0}));
  }
  c.floats.resize(scan_state_size(modes));
  for (std::size_t i = 0; i < c.state.size(); ++i) {
    float* const to = c.floats.data() + i / kLanes * 2 * kLanes + i % kLanes;
    to[0] = first_of(c.state[i]);
    to[kLanes] = second_of(c.state[i]);
  }
  return c;
}

TEST(PairedScan, EqualsTheSpecificationOnEveryTarget) {
  on_every_target([] {
    for (std::uint32_t number = 0; number < 60; ++number) {
      SCOPED_TRACE(number);
      Random random(number, Stream::kTest);
      const std::size_t modes = 1 + random.below(11), steps = 1 + random.below(50);
      Channel fast = random_channel(random, modes, steps, number % 3 > 0), plain = fast;
      paired_scan(fast.paired(), fast.limit, steps, fast.u.data(), fast.y.data(),
                  fast.state.data());
      reference::paired_scan(plain.paired(), plain.limit, steps, plain.u.data(), plain.y.data(),
                             plain.state.data());
      EXPECT_EQ(fast.y, plain.y);
      EXPECT_EQ(fast.state, plain.state);
    }
  });
}

TEST(PairedScan, EqualsTheScanInFloats) {
  for (std::uint32_t number = 0; number < 60; ++number) {
    SCOPED_TRACE(number);
    Random random(number, Stream::kTest);
    const std::size_t modes = 1 + random.below(11), steps = 1 + random.below(50);
    const bool complex = number % 3 > 0;
    Channel c = random_channel(random, modes, steps, complex);
    if (c.limit > 255) continue;  // sums of more bits than a float holds
    AlignedFloats y = c.y;
    const ScanModes floats{modes,      c.ar.data(), complex ? c.ai.data() : nullptr,
                           c.b.data(), c.cr.data(), complex ? c.ci.data() : nullptr};
    scan_forward(floats, {static_cast<float>(c.limit)}, steps, c.u.data(), y.data(),
                 c.floats.data());
    paired_scan(c.paired(), c.limit, steps, c.u.data(), c.y.data(), c.state.data());
    EXPECT_EQ(c.y, y);
  }
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

}  // namespace
}  // namespace crosstate::kernels
