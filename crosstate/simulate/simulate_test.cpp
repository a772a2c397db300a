#include "crosstate/simulate/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/data/mnist.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"
#include "crosstate/train/adamw.h"

namespace crosstate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kStride = 7;  // pixels left out, for speed: 112 time steps

// Every seventh pixel of the first `count` digits.
Dataset thinned(const Dataset& from, std::size_t count) {
  Dataset to;
  to.name = from.name;
  to.count = count;
  to.length = from.length / kStride;
  to.labels.assign(from.labels.begin(), from.labels.begin() + static_cast<std::ptrdiff_t>(count));
  to.classes = from.classes;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t t = 0; t < to.length; ++t) to.values.push_back(from.sequence(i)[t * kStride]);
  }
  return to;
}

struct Digits {
  Dataset train, test;
  Digits() {
    const TrainTest sample = read_mnist_sample();
    train = thinned(sample.train, 2048);
    test = thinned(sample.test, sample.test.count);
  }
};
const Digits& digits() {
  static const Digits d;
  return d;
}

Batch batch_of(const Dataset& data, std::size_t first, std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
  Batch batch;
  fill_batch(data, order, 28, batch);
  return batch;
}

// Two short epochs: enough for digits to be told apart better than by chance.
Network trained(const ModelOptions& options, const QuantOptions& quant) {
  ThreadPool pool(2);
  Network network(options, {1, 10}, 1);
  AdamW optimizer(network.parameters(), {});
  for (std::uint64_t step = 0; step < 64; ++step) {
    const Batch batch = batch_of(digits().train, step % 32 * 64, 64);
    network.train_step(batch, {.step = step}, pool);
    optimizer.step(network.parameters(), 1);
  }
  network.fold_norms();
  const Batch calibration = batch_of(digits().train, 0, 128);
  network.quantize(quant, std::span(&calibration, 1), pool);
  return network;
}

const Network& classifier() {
  static const Network n = trained({}, {});
  return n;
}

DeviceOptions ideal() {
  DeviceOptions options;
  options.programming_noise = 0;
  options.read_noise = 0;
  return options;
}

std::size_t top(const std::vector<float>& logits, std::size_t i) {
  const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(i * 10);
  return static_cast<std::size_t>(std::max_element(begin, begin + 10) - begin);
}

void expect_logits_of_evaluate(Network network, const CrossbarOptions& crossbar,
                               const DeviceOptions& device, std::size_t count) {
  const bool direct = crossbar.recurrence == "direct";
  const float near = direct ? 1e-4f : 1e-3f;
  ThreadPool pool(2);
  const Batch batch = batch_of(digits().test, 0, count);
  const Mapping mapping = map_network(network, crossbar, batch.length);
  const Chip chip(network, mapping, device, crossbar, 1, 0);
  std::vector<float> want, found;
  const BatchResult evaluated = network.evaluate(batch, pool, &want);
  const BatchResult simulated = chip.run(batch, 0, pool, &found);
  ASSERT_EQ(found.size(), want.size());
  float largest = 0;
  for (const float v : want) largest = std::max(largest, std::abs(v));
  std::size_t same = 0, close = 0;
  for (std::size_t i = 0; i < count; ++i) {
    float error = 0;
    for (std::size_t k = 0; k < 10; ++k) {
      error = std::max(error, std::abs(found[i * 10 + k] - want[i * 10 + k]) / largest);
    }
    EXPECT_LE(error, direct ? near : 3e-2f) << "sequence " << i;
    close += error <= near ? 1 : 0;
    same += top(found, i) == top(want, i) ? 1 : 0;
  }
  EXPECT_GE(static_cast<double>(close), 0.99 * static_cast<double>(count));
  EXPECT_GE(static_cast<double>(same), 0.999 * static_cast<double>(count));
  EXPECT_NEAR(simulated.loss, evaluated.loss, 1e-3);
}

// Cells that hold A itself give the logits of evaluate() but for the order of the sums behind the
// last rounding. Cells that hold A - 1 are floats of their own: a value next to a tie may round to
// the other code, which a slow mode keeps for long. One sequence in a hundred may then be off by
// more than 1e-3 of the largest logit, none by more than 3e-2, and one class in a thousand may
// differ.
void expect_equal_to_evaluate(Network network, CrossbarOptions crossbar,
                              const DeviceOptions& device, std::size_t count) {
  for (const char* recurrence : {"direct", "increment"}) {
    crossbar.recurrence = recurrence;
    SCOPED_TRACE(recurrence);
    expect_logits_of_evaluate(network, crossbar, device, count);
  }
}

TEST(Chip, IdealIsTheQuantizedNetwork) {
  EXPECT_GT(classifier().parameter_count(), 0u);
  expect_equal_to_evaluate(classifier(), {}, ideal(), digits().test.count);
}

TEST(Chip, IdealCellsMayLeak) {
  DeviceOptions device = ideal();
  device.g_min = 2.5;
  expect_equal_to_evaluate(classifier(), {}, device, 100);
}

TEST(Chip, IdealIsTheQuantizedNetworkOfOtherShapes) {
  ModelOptions real;
  real.modes = "real";
  real.init = "real";
  real.states = 6;
  real.gate = "none";
  real.activation = "relu";
  real.norm = "none";
  real.layers = 1;
  expect_equal_to_evaluate(trained(real, {}), {}, ideal(), 100);

  ModelOptions wide;
  wide.channels = 20;
  wide.states = 64;
  wide.gate = "hard-sigmoid";
  wide.pooling = "last";
  wide.layers = 1;
  QuantOptions free_scales;
  free_scales.scales = "free";
  expect_equal_to_evaluate(trained(wide, free_scales), {}, ideal(), 100);
}

TEST(Chip, TilesAndPiecesAddUp) {
  expect_equal_to_evaluate(classifier(), {.rows = 9, .columns = 12}, ideal(), 100);
}

TEST(Chip, ReadNoiseIgnoresTheCutIntoBatches) {
  ThreadPool pool(2);
  const Mapping mapping = map_network(classifier(), {}, digits().test.length);
  const Chip chip(classifier(), mapping, {}, {}, 1, 0);
  std::vector<float> whole, first, second;
  chip.run(batch_of(digits().test, 0, 80), 0, pool, &whole);
  chip.run(batch_of(digits().test, 0, 32), 0, pool, &first);
  chip.run(batch_of(digits().test, 32, 48), 32, pool, &second);
  first.insert(first.end(), second.begin(), second.end());
  EXPECT_EQ(first, whole);
}

TEST(Chip, ChipsOfOneSeedDiffer) {
  ThreadPool pool(2);
  const Batch batch = batch_of(digits().test, 0, 16);
  const Mapping mapping = map_network(classifier(), {}, batch.length);
  std::vector<float> a, b, again;
  Chip(classifier(), mapping, {}, {}, 1, 0).run(batch, 0, pool, &a);
  Chip(classifier(), mapping, {}, {}, 1, 1).run(batch, 0, pool, &b);
  Chip(classifier(), mapping, {}, {}, 1, 0).run(batch, 0, pool, &again);
  EXPECT_NE(a, b);
  EXPECT_EQ(a, again);
}

TEST(Chip, StatesSaturateUnderAnyNoise) {
  ThreadPool pool(2);
  const Batch batch = batch_of(digits().test, 0, 64);
  const Mapping mapping = map_network(classifier(), {}, batch.length);
  for (const char* base : {"target", "gmax"}) {
    DeviceOptions device;
    device.programming_noise = 0.5;
    device.read_noise = 0.5;
    device.noise_relative_to = base;
    std::vector<float> logits;
    const BatchResult r =
        Chip(classifier(), mapping, device, {}, 1, 0).run(batch, 0, pool, &logits);
    EXPECT_TRUE(std::isfinite(r.loss));
    for (const float v : logits) {
      ASSERT_TRUE(std::isfinite(v));
      ASSERT_LT(std::abs(v), 1e4);
    }
  }
}

TEST(Chip, NarrowConvertersCostAccuracy) {
  ThreadPool pool(2);
  Network network = classifier();
  const Batch batch = batch_of(digits().test, 0, 320);
  const Mapping mapping = map_network(network, {}, batch.length);
  const CrossbarOptions narrow{.adc_bits = 3};
  const Chip chip(network, mapping, ideal(), narrow, 1, 0);
  EXPECT_GT(chip.run(batch, 0, pool).loss, network.evaluate(batch, pool).loss);
}

TEST(Simulate, IsTheSameOnAnyNumberOfThreads) {
  const Dataset data = thinned(read_mnist_sample().test, 200);
  std::vector<SimulateSummary> all;
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    DeviceOptions device;
    device.read_noise = 0.1;
    all.push_back(simulate(classifier(), data, device, {}, 3, 7, pool));
    EXPECT_EQ(all.back().accuracy, all.front().accuracy);
    EXPECT_EQ(all.back().mean, all.front().mean);
    EXPECT_EQ(all.back().deviation, all.front().deviation);
  }
  // Accuracies are coarse; the logits are compared to the last bit.
  const Batch batch = batch_of(data, 0, 200);
  const Mapping mapping = map_network(classifier(), {}, batch.length);
  const Chip chip(classifier(), mapping, {}, {}, 7, 0);
  std::vector<float> one, four;
  ThreadPool single(1), several(4);
  chip.run(batch, 0, single, &one);
  chip.run(batch, 0, several, &four);
  EXPECT_EQ(one, four);
}

TEST(Simulate, SummarisesItsChips) {
  ThreadPool pool(2);
  const Dataset data = thinned(read_mnist_sample().test, 200);
  const SimulateSummary s = simulate(classifier(), data, {}, {}, 4, 1, pool);
  ASSERT_EQ(s.accuracy.size(), 4u);
  double mean = 0, squares = 0;
  for (const double a : s.accuracy) mean += a / 4;
  for (const double a : s.accuracy) squares += (a - mean) * (a - mean);
  EXPECT_GT(s.mean, 0.15);  // better than chance
  EXPECT_DOUBLE_EQ(s.mean, mean);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(squares / 3));
  EXPECT_EQ(s.worst, *std::min_element(s.accuracy.begin(), s.accuracy.end()));
  EXPECT_EQ(s.arrays, 16u);
  EXPECT_GT(s.utilisation, 0);
  EXPECT_GT(s.seconds, 0);
  EXPECT_EQ(simulate(classifier(), data, {}, {}, 1, 1, pool).deviation, 0);
}

TEST(Simulate, StopsBetweenTwoChips) {
  ThreadPool pool(1);
  const Dataset data = thinned(read_mnist_sample().test, 200);
  const auto stop = [left = 2]() mutable { return left-- == 0; };
  const SimulateSummary s = simulate(classifier(), data, {}, {}, 100000, 1, pool, stop);
  EXPECT_TRUE(s.interrupted);
  EXPECT_EQ(s.accuracy.size(), 2u);
}

TEST(Simulate, RejectsBadInput) {
  ThreadPool pool(1);
  Dataset data = thinned(digits().test, 16);
  EXPECT_THAT([&] { simulate(classifier(), data, {}, {}, 0, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("simulate.chips")));
  Dataset empty;
  empty.name = "none";
  EXPECT_THAT([&] { simulate(classifier(), empty, {}, {}, 1, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("none: no sequences")));
  data.channels = 2;
  data.length /= 2;
  EXPECT_THAT([&] { simulate(classifier(), data, {}, {}, 1, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("2 channels")));
}

}  // namespace
}  // namespace crosstate
