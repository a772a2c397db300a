#include "crosstate/kernels/scan.h"

#include <gtest/gtest.h>

#include "crosstate/kernels/reference/scan.h"
#include "crosstate/kernels/reference/testing.h"
#include "crosstate/kernels/residue.h"

namespace crosstate::kernels {
namespace {

using reference::expect_close;
using reference::expect_gradient;
using reference::on_every_target;
using reference::to_double;

struct Kind {
  bool complex = true, gain = false;
  float limit = 0;
  RoundingMode mode = RoundingMode::kNearest;
  bool spread = false;  // random offsets of another width in every part of every mode

  /// With draws as a channel in the middle of a network and of its sequences has them.
  StateRounding rounding(std::uint32_t first_step = kFirstStep) const {
    return {limit, mode, {kSeeds, 11, first_step}, spread ? kSpreads : nullptr, kResidueBits};
  }
  static constexpr std::uint32_t kFirstStep = 0xfffffff0;  // numbers of steps wrap around
  static constexpr float kSpreads[32] = {
      0.5f, 1,    3, 0.4f, 0,     0.7f, 1, 5,    0.1f, 0.9f, 7, 2,    0.25f, 0,    2, 0.8f,
      1.5f, 0.6f, 3, 11,   0.75f, 1,    4, 0.3f, 0.3f, 4,    9, 0.1f, 0.2f,  0.5f, 1, 0.6f};
  static constexpr std::uint8_t kResidueBits[9] = {3, 0, 14, 1, 13, 7, 2, 5, 10};
  static constexpr std::uint32_t kSeeds[kLanes] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 0xffffffff};
};

constexpr RoundingMode kStochastic = RoundingMode::kStochastic;
constexpr RoundingMode kNoiseShaped = RoundingMode::kNoiseShaped;

const Kind kKinds[] = {{true, false, 0},
                       {true, true, 0},
                       {false, false, 0},
                       {false, true, 0},
                       {true, false, 127},
                       {true, true, 127},
                       {false, false, 7},
                       {false, true, 7},
                       {true, false, 127, kStochastic},
                       {true, true, 127, kStochastic},
                       {false, false, 7, kStochastic},
                       {false, true, 7, kStochastic},
                       {true, true, 127, kStochastic, true},
                       {true, false, 7, kStochastic, true},
                       {true, false, 127, kNoiseShaped},
                       {true, true, 127, kNoiseShaped},
                       {false, false, 7, kNoiseShaped},
                       {false, true, 7, kNoiseShaped},
                       {true, true, 1, kNoiseShaped},
                       {false, true, 32767, kNoiseShaped}};

struct Gradients {
  explicit Gradients(std::size_t modes) : ar(modes), ai(modes), b(modes), cr(modes), ci(modes) {}
  ScanGradients pointers(const Kind& kind) {
    return {ar.data(), ai.data(), kind.gain ? b.data() : nullptr, cr.data(), ci.data()};
  }
  std::vector<double> ar, ai, b, cr, ci;
};

/// A channel with its inputs, in the element type of `Floats`.
template <class Floats>
struct Channel {
  using T = typename Floats::value_type;
  Kind kind;
  std::size_t modes, steps;
  Floats ar, ai, b, cr, ci, u, y, state, gy, gu, carry;

  /// null if this kind of channel does not have the array.
  reference::Modes<T> reference_modes() const {
    return {modes,
            ar.data(),
            kind.complex ? ai.data() : nullptr,
            kind.gain ? b.data() : nullptr,
            cr.data(),
            kind.complex ? ci.data() : nullptr};
  }
  ScanModes kernel_modes() const {
    const auto m = reference_modes();
    return {m.modes, m.ar, m.ai, m.b, m.cr, m.ci};
  }
};

/// A| at most `radius`; the inputs of a rounded state have several steps, so that it moves.
Channel<AlignedFloats> make_channel(Random& random, const Kind& kind, std::size_t modes,
                                    std::size_t steps, double radius = 1, double input = 0) {
  Channel<AlignedFloats> c;
  c.kind = kind;
  c.modes = modes;
  c.steps = steps;
  if (input == 0) input = kind.limit > 0 ? 0.3 * static_cast<double>(kind.limit) : 1;
  for (std::size_t n = 0; n < modes; ++n) {
    const double size = radius * (n % 3 == 0 ? 1 : random.uniform(0.5, 1));
    const double angle = kind.complex ? random.uniform(-3.14, 3.14) : 0;
    c.ar.push_back(static_cast<float>(size * std::cos(angle)));
    c.ai.push_back(static_cast<float>(size * std::sin(angle)));
  }
  const std::size_t parts = scan_state_size(modes);
  c.b = reference::uniform_floats(random, modes, -2, 2);
  c.cr = reference::uniform_floats(random, modes, -1, 1);
  c.ci = reference::uniform_floats(random, modes, -1, 1);
  c.u = reference::uniform_floats(random, steps * kLanes, -input, input);
  c.y = reference::uniform_floats(random, steps * kLanes, -1, 1);
  c.state = reference::uniform_floats(random, parts, -3, 3);
  if (kind.limit > 0) {
    for (float& x : c.state) x = std::nearbyint(x);
  }
  if (kind.mode == kNoiseShaped) {
    for (std::size_t i = 0; i < parts; ++i) {
      const int fraction = HeldSums(kind.limit).fraction;
      const auto codes =
          static_cast<float>(1 << std::min<int>(Kind::kResidueBits[i / (2 * kLanes)], fraction));
      const auto code = static_cast<float>(random.below(static_cast<std::uint32_t>(codes)));
      c.state.push_back(codes > 1 ? code / codes - 0.5f : 0.0f);
    }
  }
  c.gy = reference::uniform_floats(random, steps * kLanes, -1, 1);
  c.gu = reference::uniform_floats(random, steps * kLanes, -1, 1);
  c.carry = reference::uniform_floats(random, parts, -1, 1);
  return c;
}

Channel<std::vector<double>> widen(const Channel<AlignedFloats>& c) {
  return {c.kind,
          c.modes,
          c.steps,
          to_double(c.ar),
          to_double(c.ai),
          to_double(c.b),
          to_double(c.cr),
          to_double(c.ci),
          to_double(c.u),
          to_double(c.y),
          to_double(c.state),
          to_double(c.gy),
          to_double(c.gu),
          to_double(c.carry)};
}

/// The halves of the state that this kind of channel uses.
template <class Values>
std::vector<double> used(const Kind& kind, const Values& state) {
  std::vector<double> values;
  for (std::size_t i = 0; i < state.size(); ++i) {
    if (kind.complex || i % (2 * kLanes) < kLanes) values.push_back(static_cast<double>(state[i]));
  }
  return values;
}

/// Whether the selected instruction set has fused multiply-add: then (1 + 2^-12)^2 - (1 + 2^-11)
/// gives 2^-24.
bool fuses() {
  const float a = 1 + 0x1p-12f, c = 1;
  AlignedFloats u(kLanes, -1 - 0x1p-11f), y(kLanes), state(scan_state_size(1), a);
  scan_forward({1, &a, nullptr, nullptr, &c, nullptr}, {}, 1, u.data(), y.data(), state.data());
  return y[0] != 0;
}

/// Runs `body` over random channels of every kind.
template <class Body>
void over_channels(std::uint32_t item, Body body) {
  Random random(1, Stream::kTest, item);
  for (const Kind& kind : kKinds) {
    for (std::size_t modes = 1; modes <= 9; ++modes) {
      SCOPED_TRACE(testing::Message() << "complex " << kind.complex << ", gain " << kind.gain
                                      << ", limit " << kind.limit << ", mode "
                                      << static_cast<int>(kind.mode) << ", modes " << modes);
      body(make_channel(random, kind, modes, 1 + random.below(60)));
    }
  }
}

TEST(Scan, MatchesItsSpecification) {
  on_every_target([] {
    over_channels(1, [](Channel<AlignedFloats> c) {
      if (c.kind.limit > 0) return;  // see RoundsEveryStateLikeItsSpecification
      auto wide = widen(c);
      scan_forward(c.kernel_modes(), {}, c.steps, c.u.data(), c.y.data(), c.state.data());
      reference::scan_forward(wide.reference_modes(), {}, c.steps, wide.u.data(), wide.y.data(),
                              wide.state.data());
      expect_close(c.y, wide.y, kScanTolerance, "y");
      expect_close(used(c.kind, c.state), used(c.kind, wide.state), kScanTolerance, "state");
    });
  });
}

// Compared step by step from the same state, because one state that is rounded differently changes
// the rest of its sequence. Without fused multiply-add a few ties are rounded differently.
TEST(Scan, RoundsEveryStateLikeItsSpecification) {
  on_every_target([] {
    const bool fused = fuses();
    std::size_t states = 0, different = 0;
    over_channels(2, [&](Channel<AlignedFloats> c) {
      if (c.kind.limit == 0) return;
      for (std::size_t t = 0; t < c.steps; ++t) {
        const StateRounding rounding = c.kind.rounding(static_cast<std::uint32_t>(t));
        AlignedFloats expected = c.state;
        AlignedFloats y(kLanes), expected_y(kLanes);
        const float* u = c.u.data() + t * kLanes;
        reference::scan_forward(c.reference_modes(), rounding, 1, u, expected_y.data(),
                                expected.data());
        scan_forward(c.kernel_modes(), rounding, 1, u, y.data(), c.state.data());
        if (fused) {
          ASSERT_EQ(used(c.kind, c.state), used(c.kind, expected)) << "step " << t;
          expect_close(y, expected_y, kScanTolerance, "y");
        }
        for (std::size_t i = 0; i < scan_state_size(c.modes); ++i) {
          if (!c.kind.complex && i % (2 * kLanes) >= kLanes) continue;
          states += 1;
          different += c.state[i] != expected[i] ? 1 : 0;
          ASSERT_LE(std::fabs(c.state[i] - expected[i]), 1) << "step " << t;
          ASSERT_LE(std::fabs(c.state[i]), c.kind.limit);
          ASSERT_EQ(c.state[i], std::nearbyint(c.state[i]));
        }
      }
    });
    EXPECT_GT(states, 300000u);
    EXPECT_LE(different, states / 10000);
  });
}

// The tests above with arbitrary numbers, here with those of deployed networks: no operation rounds
// then, so states, residues and outputs are equal on every instruction set.
TEST(Scan, OfFixedPointNumbersIsExactOnEveryTarget) {
  on_every_target([] {
    over_channels(3, [](Channel<AlignedFloats> c) {
      if (c.kind.limit == 0 || c.kind.limit > 127) return;
      const auto round = [](AlignedFloats& values, float grid) {
        for (float& v : values) v = std::nearbyint(v / grid) * grid;
      };
      round(c.ar, 0x1p-14f);
      round(c.ai, 0x1p-14f);
      round(c.b, 0x1p-6f);
      round(c.u, 1);
      round(c.cr, 0x1p-7f);
      round(c.ci, 0x1p-7f);
      round(c.y, 0x1p-7f);
      AlignedFloats y = c.y, state = c.state;
      reference::scan_forward(c.reference_modes(), c.kind.rounding(), c.steps, c.u.data(), y.data(),
                              state.data());
      scan_forward(c.kernel_modes(), c.kind.rounding(), c.steps, c.u.data(), c.y.data(),
                   c.state.data());
      EXPECT_EQ(used(c.kind, c.state), used(c.kind, state));
      EXPECT_EQ(c.y, y);
      for (std::size_t i = scan_state_size(c.modes); i < c.state.size(); ++i) {
        if (!c.kind.complex && i % (2 * kLanes) >= kLanes) continue;
        EXPECT_GE(c.state[i], -0.5f);
        EXPECT_LT(c.state[i], 0.5f);
      }
    });
  });
}

TEST(Scan, RoundsWholeSequencesLikeItsSpecification) {
  on_every_target([] {
    if (!fuses()) return;
    over_channels(3, [](Channel<AlignedFloats> c) {
      AlignedFloats y = c.y, state = c.state;
      reference::scan_forward(c.reference_modes(), c.kind.rounding(), c.steps, c.u.data(), y.data(),
                              state.data());
      scan_forward(c.kernel_modes(), c.kind.rounding(), c.steps, c.u.data(), c.y.data(),
                   c.state.data());
      EXPECT_EQ(used(c.kind, c.state), used(c.kind, state));
      expect_close(c.y, y, kScanTolerance, "y");
    });
  });
}

TEST(Scan, RoundsTiesUpwards) {
  on_every_target([] {
    const float a = 1, c = 1;
    const ScanModes modes{1, &a, nullptr, nullptr, &c, nullptr};
    AlignedFloats u(kLanes), y(kLanes), state(scan_state_size(1));
    const float input[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 6.5f, 7.5f, 9.0f, -9.0f};
    const float rounded[] = {1, 2, 3, 0, -1, -2, 7, 7, 7, -7};
    std::copy(std::begin(input), std::end(input), u.begin());
    scan_forward(modes, {7}, 1, u.data(), y.data(), state.data());
    for (std::size_t i = 0; i < std::size(rounded); ++i) EXPECT_EQ(y[i], rounded[i]) << input[i];
  });
}

TEST(Scan, AdjointMatchesItsSpecification) {
  on_every_target([] {
    over_channels(4, [](Channel<AlignedFloats> c) {
      // If a state may be rounded differently, gradients may differ by a whole sample.
      if (c.kind.limit > 0 && !fuses()) return;
      // The states are those of the float version, so that rounded ones agree; the sums are in
      // double.
      Gradients got(c.modes), wanted(c.modes);
      AlignedFloats gu = c.gu, carry = c.carry, scratch(kScanScratch * c.steps);
      reference::scan_adjoint(c.reference_modes(), c.kind.rounding(), c.steps, c.u.data(),
                              c.state.data(), c.gy.data(), gu.data(), carry.data(),
                              wanted.pointers(c.kind));
      scan_adjoint(c.kernel_modes(), c.kind.rounding(), c.steps, c.u.data(), c.state.data(),
                   c.gy.data(), c.gu.data(), c.carry.data(), got.pointers(c.kind), scratch.data());
      expect_close(c.gu, gu, kScanTolerance, "gu");
      expect_close(used(c.kind, c.carry), used(c.kind, carry), kScanTolerance, "carry");
      expect_close(got.ar, wanted.ar, kScanTolerance, "ar");
      expect_close(got.ai, wanted.ai, kScanTolerance, "ai");
      expect_close(got.b, wanted.b, kScanTolerance, "b");
      expect_close(got.cr, wanted.cr, kScanTolerance, "cr");
      expect_close(got.ci, wanted.ci, kScanTolerance, "ci");
    });
  });
}

TEST(Scan, SaturatedStatesStayAndPassNoGradient) {
  on_every_target([] {
    Random random(1, Stream::kTest, 5);
    for (float input : {1e4f, 1e9f, 1e30f}) {
      Channel<AlignedFloats> c = make_channel(random, {false, false, 127}, 3, 20);
      for (float& a : c.ar) a = 1;
      for (float& u : c.u) u = input;
      std::fill(c.state.begin(), c.state.end(), 0.0f);
      std::fill(c.gu.begin(), c.gu.end(), 0.0f);
      const AlignedFloats start = c.state;
      scan_forward(c.kernel_modes(), {127}, c.steps, c.u.data(), c.y.data(), c.state.data());
      for (double x : used(c.kind, c.state)) EXPECT_EQ(x, 127);
      if (input > 1e6f) continue;  // the adjoint recomputes below 2^22 steps
      Gradients gradients(c.modes);
      AlignedFloats scratch(kScanScratch * c.steps);
      scan_adjoint(c.kernel_modes(), {127}, c.steps, c.u.data(), start.data(), c.gy.data(),
                   c.gu.data(), c.carry.data(), gradients.pointers(c.kind), scratch.data());
      for (float g : c.gu) EXPECT_EQ(g, 0);
      for (double g : used(c.kind, c.carry)) EXPECT_EQ(g, 0);
    }
  });
}

TEST(Scan, LongSequencesOnTheUnitCircleStayWithinTolerance) {
  on_every_target([] {
    Random random(1, Stream::kTest, 6);
    Channel<AlignedFloats> c = make_channel(random, {true, false, 0}, 4, 784, 1, 1e6);
    auto wide = widen(c);
    scan_forward(c.kernel_modes(), {}, c.steps, c.u.data(), c.y.data(), c.state.data());
    reference::scan_forward(wide.reference_modes(), {}, c.steps, wide.u.data(), wide.y.data(),
                            wide.state.data());
    expect_close(c.y, wide.y, kScanTolerance, "y");
  });
}

TEST(Scan, MayBeCutAnywhere) {
  on_every_target([] {
    over_channels(7, [](Channel<AlignedFloats> c) {
      // With other values of b the adjoint state is rounded twice more at the division.
      for (float& b : c.b) b = std::exp2(std::round(std::log2(std::abs(b))));
      const StateRounding rounding = c.kind.rounding();
      Channel<AlignedFloats> whole = c, cut = c;
      scan_forward(whole.kernel_modes(), rounding, c.steps, whole.u.data(), whole.y.data(),
                   whole.state.data());
      const std::size_t first = c.steps / 3, at = first * kLanes;
      scan_forward(cut.kernel_modes(), rounding, first, cut.u.data(), cut.y.data(),
                   cut.state.data());
      const AlignedFloats middle = cut.state;
      const StateRounding later =
          c.kind.rounding(Kind::kFirstStep + static_cast<std::uint32_t>(first));
      scan_forward(cut.kernel_modes(), later, c.steps - first, cut.u.data() + at, cut.y.data() + at,
                   cut.state.data());
      EXPECT_EQ(cut.y, whole.y);
      EXPECT_EQ(used(c.kind, cut.state), used(c.kind, whole.state));

      Gradients one(c.modes), two(c.modes);
      AlignedFloats scratch(kScanScratch * c.steps);
      scan_adjoint(c.kernel_modes(), rounding, c.steps, c.u.data(), c.state.data(), c.gy.data(),
                   whole.gu.data(), whole.carry.data(), one.pointers(c.kind), scratch.data());
      scan_adjoint(c.kernel_modes(), later, c.steps - first, c.u.data() + at, middle.data(),
                   c.gy.data() + at, cut.gu.data() + at, cut.carry.data(), two.pointers(c.kind),
                   scratch.data());
      scan_adjoint(c.kernel_modes(), rounding, first, c.u.data(), c.state.data(), c.gy.data(),
                   cut.gu.data(), cut.carry.data(), two.pointers(c.kind), scratch.data());
      EXPECT_EQ(cut.gu, whole.gu);
      EXPECT_EQ(used(c.kind, cut.carry), used(c.kind, whole.carry));
      // Their sums are divided, so rounded twice; the terms of a small sum may be of magnitude 1
      // and more.
      expect_close(two.ar, one.ar, kScanTolerance, "ar", 1);
      expect_close(two.ai, one.ai, kScanTolerance, "ai", 1);
      expect_close(two.b, one.b, kScanTolerance, "b", 1);
      expect_close(two.cr, one.cr, kScanTolerance, "cr", 1);
      expect_close(two.ci, one.ci, kScanTolerance, "ci", 1);
    });
  });
}

TEST(ScanReference, AdjointIsTheGradient) {
  Random random(1, Stream::kTest, 8);
  for (const Kind& kind : kKinds) {
    if (kind.limit > 0) continue;
    auto c = widen(make_channel(random, kind, 2, 5));
    const std::vector<double> start = c.state, last = c.carry;
    // The loss weighs the outputs by gy and the final state by the adjoint state at the end. The
    // latter is A^H lambda, so the final state is multiplied by A once more.
    const auto loss = [&] {
      std::vector<double> y(c.y.size()), state = c.state;
      reference::scan_forward(c.reference_modes(), {}, c.steps, c.u.data(), y.data(), state.data());
      double total = 0;
      for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * c.gy[i];
      for (std::size_t i = 0; i < state.size(); ++i) {
        if (kind.complex || i % (2 * kLanes) < kLanes) total += state[i] * last[i];
      }
      return total;
    };
    Gradients g(c.modes);
    std::vector<double> gu(c.u.size()), carry = last;
    reference::scan_adjoint(c.reference_modes(), {}, c.steps, c.u.data(), start.data(), c.gy.data(),
                            gu.data(), carry.data(), g.pointers(kind));
    expect_gradient(c.u, gu, loss, "u");
    expect_gradient(c.ar, g.ar, loss, "ar");
    expect_gradient(c.cr, g.cr, loss, "cr");
    if (kind.gain) expect_gradient(c.b, g.b, loss, "b");
    if (kind.complex) {
      expect_gradient(c.ai, g.ai, loss, "ai");
      expect_gradient(c.ci, g.ci, loss, "ci");
      expect_gradient(c.state, carry, loss, "start");
    }
  }
}

TEST(ScanReference, GradientsPassStraightThroughRounding) {
  for (const RoundingMode mode : {RoundingMode::kNearest, kStochastic, kNoiseShaped}) {
    Random random(1, Stream::kTest, 9);
    const Kind kind{true, true, 1e6f, mode};  // too fine to change a gradient much, never saturated
    auto c = widen(make_channel(random, kind, 3, 12, 0.9, 1e5));
    Gradients rounded(c.modes), exact(c.modes);
    for (auto* g : {&rounded, &exact}) {
      std::vector<double> gu(c.u.size()), carry(c.carry.size());
      reference::scan_adjoint(
          c.reference_modes(), g == &rounded ? kind.rounding() : StateRounding{}, c.steps,
          c.u.data(), c.state.data(), c.gy.data(), gu.data(), carry.data(), g->pointers(kind));
    }
    expect_close(rounded.ar, exact.ar, 1e-4, "ar");
    expect_close(rounded.b, exact.b, 1e-4, "b");
    expect_close(rounded.cr, exact.cr, 1e-4, "cr");
  }
}

// One step from a residue of 0, r = 14: a state that saturates loses its residue.
TEST(Scan, ForgetsTheResidueOfAStateThatSaturates) {
  on_every_target([] {
    const float a = 1, c = 1;
    const std::uint8_t bits = 14;
    const ScanModes modes{1, &a, nullptr, nullptr, &c, nullptr};
    AlignedFloats u(kLanes), y(kLanes), state(scan_state_size(1, kNoiseShaped));
    const float input[] = {0.25f,  0.5f, -0.5f, 6.75f, 7.25f, 7.5f,  8.25f, -7.5f,
                           -7.75f, 1e3f, 1e9f,  1e30f, -1e3f, -1e9f, -1e30f};
    const float rounded[] = {0, 1, 0, 7, 7, 7, 7, -7, -7, 7, 7, 7, -7, -7, -7};
    const float residue[] = {0.25f, -0.5f, -0.5f, -0.25f, 0.25f, 0, 0, -0.5f, 0, 0, 0, 0, 0, 0, 0};
    std::copy(std::begin(input), std::end(input), u.begin());
    scan_forward(modes, {7, kNoiseShaped, {}, nullptr, &bits}, 1, u.data(), y.data(), state.data());
    for (std::size_t i = 0; i < std::size(rounded); ++i) {
      EXPECT_EQ(y[i], rounded[i]) << input[i];
      EXPECT_EQ(state[2 * kLanes + i], residue[i]) << input[i];
    }
  });
}

// The definition on integers: S = round(v, 14 - r), w = round(S, r), ties upwards.
TEST(Scan, RoundsNoiseShapedStatesAsIntegersDo) {
  const auto shifted = [](std::int64_t v, int places) {
    return places == 0 ? v : (v + (std::int64_t{1} << (places - 1))) >> places;
  };
  on_every_target([&] {
    Random random(1, Stream::kTest, 12);
    for (int bits = 2; bits <= 8; ++bits) {
      const auto limit = static_cast<std::int64_t>(1) << (bits - 1);
      const auto most = static_cast<double>(limit - 1);
      for (int r = 0; r <= kMostResidueBits; ++r) {
        const auto residue_bits = static_cast<std::uint8_t>(r);
        const auto ar = static_cast<std::int64_t>(random.below(32767)) - 16383;
        const float a = static_cast<float>(ar) * 0x1p-14f, b = 0x1p-14f, c = 0;
        const ScanModes modes{1, &a, nullptr, &b, &c, nullptr};
        const StateRounding rounding{
            static_cast<float>(most), kNoiseShaped, {}, nullptr, &residue_bits};
        AlignedFloats u(kLanes), y(kLanes), state(scan_state_size(1, kNoiseShaped));
        std::vector<std::int64_t> x(kLanes), e(kLanes);  // e in units of 2^-r
        for (int t = 0; t < 200; ++t) {
          for (float& v : u)
            v = static_cast<float>(std::nearbyint(random.uniform(-1, 1) * most * 8192));
          scan_forward(modes, rounding, 1, u.data(), y.data(), state.data());
          for (std::size_t i = 0; i < kLanes; ++i) {
            const std::int64_t v =
                ar * x[i] + static_cast<std::int64_t>(u[i]) + e[i] * (std::int64_t{1} << (14 - r));
            const std::int64_t s = shifted(v, 14 - r), w = shifted(s, r);
            x[i] = std::clamp(w, 1 - limit, limit - 1);
            e[i] = x[i] == w ? s - w * (std::int64_t{1} << r) : 0;
            ASSERT_EQ(state[i], static_cast<float>(x[i])) << bits << " bits, residue " << r;
            ASSERT_EQ(state[2 * kLanes + i], std::ldexp(static_cast<float>(e[i]), -r))
                << bits << " bits, residue " << r;
          }
        }
      }
    }
  });
}

TEST(Scan, ResiduesOfNoBitsRoundToNearest) {
  on_every_target([] {
    Random random(1, Stream::kTest, 13);
    const std::uint8_t none[9] = {};
    for (const bool complex : {false, true}) {
      Channel<AlignedFloats> c = make_channel(random, {complex, true, 127}, 9, 100);
      for (auto* values : {&c.ar, &c.ai}) {
        for (float& v : *values) v = std::nearbyint(v * 0x1p14f) * 0x1p-14f;
      }
      for (float& b : c.b) b = std::nearbyint(b * 64) / 64;
      for (float& u : c.u) u = std::nearbyint(u);
      AlignedFloats y = c.y, state = c.state;
      state.resize(scan_state_size(9, kNoiseShaped), 0);
      scan_forward(c.kernel_modes(), {127, kNoiseShaped, {}, nullptr, none}, c.steps, c.u.data(),
                   y.data(), state.data());
      scan_forward(c.kernel_modes(), {127}, c.steps, c.u.data(), c.y.data(), c.state.data());
      EXPECT_EQ(y, c.y);
      state.resize(c.state.size());
      EXPECT_EQ(used(c.kind, state), used(c.kind, c.state));
    }
  });
}

}  // namespace
}  // namespace crosstate::kernels
