// The fake-quantized network against its integer version.
#include "crosstate/integer/reference.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crosstate/integer/testing.h"

namespace crosstate::integer {
namespace {

constexpr const char* kRoundings[] = {"nearest",   "stochastic", "residue 1",
                                      "residue 5", "residue 14", "by-pole"};

struct Comparison {
  std::size_t equal = 0, same_class = 0, sequences = 0;
};

Comparison compare(int number, bool powers_of_two, const char* rounding) {
  const data::Dataset set = fixtures::sequences(number);
  quant::QuantOptions format = fixtures::format(number, powers_of_two);
  fixtures::round_state(format.state, rounding);
  model::Network network = fixtures::rounded_network(number, set, format);
  ThreadPool pool(1);
  std::vector<float> logits;
  network.evaluate(model::reference::batch_of(set), pool, &logits);

  const IntegerNetwork integers = to_integers(network);
  ReferenceExecutor executor(integers);
  Comparison c;
  for (std::size_t i = 0; i < set.count; ++i) {
    const IntegerResult result = executor.run(set.sequence(i), set.length_of(i));
    const std::vector<float> got = result.logits();
    const std::vector<float> wanted(logits.begin() + static_cast<std::ptrdiff_t>(i * 4),
                                    logits.begin() + static_cast<std::ptrdiff_t>(i * 4 + 4));
    c.equal += got == wanted ? 1 : 0;
    c.same_class +=
        result.best() == static_cast<std::size_t>(std::max_element(wanted.begin(), wanted.end()) -
                                                  wanted.begin())
            ? 1
            : 0;
    ++c.sequences;
  }
  return c;
}

TEST(IntegerReference, IsTheRoundedNetworkBitForBitWithPowersOfTwo) {
  for (const char* rounding : kRoundings) {
    for (int number = 0; number < 60; ++number) {
      const Comparison c = compare(number, true, rounding);
      EXPECT_EQ(c.equal, c.sequences) << "format " << number << ", " << rounding;
    }
  }
}

TEST(IntegerReference, DecidesLikeTheRoundedNetworkWithFreeScales) {
  for (const char* rounding : kRoundings) {
    Comparison all;
    for (int number = 0; number < 60; ++number) {
      const Comparison c = compare(number, false, rounding);
      all.same_class += c.same_class;
      all.sequences += c.sequences;
    }
    EXPECT_GE(static_cast<double>(all.same_class), 0.995 * static_cast<double>(all.sequences))
        << rounding;
  }
}

TEST(IntegerReference, CountsWhatLiesBeyondTheCodes) {
  for (int number = 0; number < 20; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = fixtures::sequences(number);
    IntegerNetwork n = fixtures::network(number, set);
    const std::vector<float> far(5 * n.inputs, 1e9f);
    const auto used = [&](std::int32_t limit) {
      n.state_limit = limit;
      ReferenceExecutor executor(n);
      executor.run(far, 5);
      return executor.usage();
    };
    const CodeUsage wide = used(1 << 28), narrow = used(1);
    const auto values = static_cast<std::int64_t>(5 * n.channels * n.modes * (n.complex ? 2 : 1));
    EXPECT_EQ(wide.input.values, static_cast<std::int64_t>(5 * n.inputs));
    EXPECT_EQ(wide.input.saturation(), 1);
    EXPECT_EQ(wide.residual.values,
              static_cast<std::int64_t>(5 * n.channels * (1 + n.blocks.size())));
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      EXPECT_EQ(wide.blocks[l].state.values, values);
      EXPECT_EQ(wide.blocks[l].state.clipped, 0);
      EXPECT_EQ(wide.blocks[l].linear.values,
                n.gated ? static_cast<std::int64_t>(10 * n.channels) : 0);
      EXPECT_LE(*std::max_element(narrow.blocks[l].largest.begin(), narrow.blocks[l].largest.end()),
                1);
    }
    // With codes at the end of their range, the states of the first block saturate in a single
    // step.
    EXPECT_GT(narrow.blocks[0].state.clipped, 0);
  }
}

}  // namespace
}  // namespace crosstate::integer
