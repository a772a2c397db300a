// The network that rounds in floating point against its integer meaning.
#include "crosstate/integer/reference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/integer/convert.h"
#include "crosstate/model/testing.h"

namespace crosstate {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using reference::small_options;

const TaskShape kTask{2, 4};

ModelOptions shape(int number) {
  ModelOptions o = small_options();
  o.norm = "none";
  o.layers = 1 + number % 3;
  o.channels = 3 + number % 5;
  o.gate = number % 3 == 0 ? "none" : number % 3 == 1 ? "sigmoid" : "hard-sigmoid";
  o.activation = number % 4 == 0   ? "relu"
                 : number % 4 == 1 ? "gelu"
                 : number % 4 == 2 ? "hard-gelu"
                                   : "identity";
  o.pooling = number % 5 == 0 ? "last" : "mean";
  if (number % 4 == 3) {
    o.modes = "real";
    o.init = "real";
  }
  return o;
}

QuantOptions format(int number, bool powers_of_two) {
  QuantOptions q;
  const int weights[] = {8, 2, 4, 1, 3, 6}, values[] = {8, 6, 4, 7};
  q.preset = "w" + std::to_string(weights[number % 6]) + "a" + std::to_string(values[number % 4]) +
             "s" + std::to_string(4 + number % 5);
  q.scales = powers_of_two ? "pow2" : "free";
  q.weight_scales = q.scales;
  q.granularity = number % 2 == 0 ? "channel" : "tensor";
  q.a.coding = number % 3 == 0 ? "log-polar" : number % 3 == 1 ? "cartesian" : "polar";
  q.activation.codes = number % 2 == 0 ? "affine" : "symmetric";
  return resolved(q);
}

struct Comparison {
  std::size_t equal = 0, same_class = 0, sequences = 0;
};

Comparison compare(int number, bool powers_of_two) {
  const Dataset set = random_set(static_cast<std::uint64_t>(number) + 1, 40, 37, kTask, true);
  Network network = random_network(shape(number), kTask);
  ThreadPool pool(1);
  const Batch batch = batch_of(set);
  network.quantize(format(number, powers_of_two), {&batch, 1}, pool);
  std::vector<float> logits;
  network.evaluate(batch, pool, &logits);

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
  for (int number = 0; number < 60; ++number) {
    const Comparison c = compare(number, true);
    EXPECT_EQ(c.equal, c.sequences) << "format " << number;
  }
}

TEST(IntegerReference, DecidesLikeTheRoundedNetworkWithFreeScales) {
  Comparison all;
  for (int number = 0; number < 60; ++number) {
    const Comparison c = compare(number, false);
    all.same_class += c.same_class;
    all.sequences += c.sequences;
  }
  EXPECT_GE(static_cast<double>(all.same_class), 0.995 * static_cast<double>(all.sequences));
}

}  // namespace
}  // namespace crosstate
