// The network that rounds in floating point against its integer meaning.
#include "crosstate/integer/reference.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crosstate/integer/testing.h"

namespace crosstate {
namespace {

constexpr const char* kRoundings[] = {"nearest", "stochastic", "feedback"};

struct Comparison {
  std::size_t equal = 0, same_class = 0, sequences = 0;
};

Comparison compare(int number, bool powers_of_two, const char* rounding) {
  const Dataset set = integer_test::sequences(number);
  QuantOptions format = integer_test::format(number, powers_of_two);
  format.state.rounding = rounding;
  Network network = integer_test::rounded_network(number, set, format);
  ThreadPool pool(1);
  std::vector<float> logits;
  network.evaluate(reference::batch_of(set), pool, &logits);

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

}  // namespace
}  // namespace crosstate
