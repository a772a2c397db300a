// Networks with outputs at every step: outputs, loss and gradients over all targets that count.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_step_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

ModelOptions step_options(int number) {
  ModelOptions o = reference::small_options();
  o.readout = task::Scope::kStep;
  o.norm =
      std::array{Norm::kBatch, Norm::kLayer, Norm::kNone}[static_cast<std::size_t>(number % 3)];
  o.gate = number % 2 == 0 ? Gate::kSigmoid : Gate::kNone;
  o.channels = number % 4 == 3 ? 17 : 3;
  o.layers = 1 + number % 2;
  return o;
}

std::vector<float> outputs_of(const Network& network, const data::Batch& batch, int threads = 1) {
  ThreadPool pool(threads);
  std::vector<float> outputs;
  network.evaluate(batch, pool, &outputs);
  return outputs;
}

std::vector<std::vector<double>> gradients_of(Network network, const data::Batch& batch,
                                              int threads) {
  ThreadPool pool(threads);
  network.train_step(batch, {0.1, 5, 6}, pool);
  std::vector<std::vector<double>> all;
  for (const Parameter& p : network.parameters()) all.push_back(p.gradient);
  return all;
}

TEST(Steps, EqualTheReference) {
  for (int number = 0; number < 12; ++number) {
    SCOPED_TRACE(number);
    const Network network =
        random_network(step_options(number), kTask, static_cast<std::uint64_t>(number));
    const auto values = reference::values_of<double>(network);
    const data::Dataset set =
        random_step_set(static_cast<std::uint64_t>(number), 19, 25, kTask, number % 3 > 0);
    const data::Batch batch = batch_of(set);
    ThreadPool pool(1);
    std::vector<float> outputs;
    const BatchResult result = network.evaluate(batch, pool, &outputs);
    ASSERT_EQ(outputs.size(), set.count * batch.length * 4);
    double loss = 0, largest = 1;
    std::size_t correct = 0, counted = 0;
    for (std::size_t i = 0; i < set.count; ++i) {
      const reference::Matrix<double> wanted =
          reference::outputs(values, reference::sequence_of(set, i));
      ASSERT_EQ(wanted.size(), set.length_of(i));
      for (std::size_t t = 0; t < batch.length; ++t) {
        const float* got = outputs.data() + (i * batch.length + t) * 4;
        if (t >= wanted.size()) {
          EXPECT_EQ(std::vector<float>(got, got + 4), std::vector<float>(4, 0));
          continue;
        }
        const std::vector<double>& z = wanted[t];
        const auto top = std::max_element(z.begin(), z.end());
        double total = 0;
        for (std::size_t k = 0; k < 4; ++k) {
          largest = std::max(largest, std::abs(z[k]));
          ASSERT_NEAR(got[k], z[k], reference::kNetworkTolerance * largest) << i << ' ' << t;
          total += std::exp(z[k] - *top);
        }
        if (!task::counts(set.target(i, t))) continue;
        const auto truth = static_cast<std::size_t>(set.target(i, t)[0]);
        loss += std::log(total) + *top - z[truth];
        correct += static_cast<std::size_t>(top - z.begin()) == truth ? 1 : 0;
        ++counted;
      }
    }
    EXPECT_EQ(result.count, counted);
    EXPECT_NEAR(result.loss, loss / static_cast<double>(counted),
                2 * reference::kNetworkTolerance * largest);
    EXPECT_NEAR(task::primary_value(set.readout, result.sums),
                static_cast<double>(correct) / static_cast<double>(counted), 1e-12);
  }
}

// The outputs at a step equal those at the last step of the sequence cut there.
TEST(Steps, ArePrefixesOfSequences) {
  ModelOptions o = step_options(0);
  const Network network = random_network(o, kTask);
  o.readout = task::Scope::kSequence;
  o.pooling = Pooling::kLast;
  const Network last = random_network(o, kTask);
  const data::Dataset set = random_step_set(1, 5, 20, kTask);
  const std::vector<float> all = outputs_of(network, batch_of(set));
  for (std::size_t steps = 1; steps <= 20; ++steps) {
    data::Dataset cut = reference::random_set(1, 5, 20, kTask);
    cut.lengths.assign(5, static_cast<std::uint32_t>(steps));
    const std::vector<float> ends = outputs_of(last, batch_of(cut));
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(all[(i * 20 + steps - 1) * 4 + k], ends[i * 4 + k], 1e-5) << steps;
      }
    }
  }
}

TEST(Steps, DependNeitherOnOtherSequencesNorOnBlocksNorOnThreads) {
  for (const int number : {0, 1, 2}) {
    const Network network = random_network(step_options(number), kTask);
    const data::Dataset set = random_step_set(1, 40, 23, kTask, true);
    const data::Batch whole = batch_of(set);
    const std::vector<float> all = outputs_of(network, whole);
    EXPECT_EQ(outputs_of(network, whole, 4), all);
    for (const std::size_t block : {1u, 5u, 23u, 100u}) {
      EXPECT_EQ(outputs_of(network, batch_of(set, block)), all) << "blocks of " << block;
    }
    for (std::uint32_t i = 0; i < set.count; ++i) {
      const std::vector<float> alone =
          outputs_of(network, batch_of(set, std::vector<std::uint32_t>{i}));
      ASSERT_EQ(alone.size(), set.length_of(i) * 4);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.data() + i * whole.length * 4));
    }
    EXPECT_EQ(gradients_of(network, whole, 2), gradients_of(network, whole, 1));
    EXPECT_EQ(gradients_of(network, whole, 4), gradients_of(network, whole, 1));
  }
}

TEST(Steps, HaveTheGradientsOfTheLoss) {
  ThreadPool pool(1);
  for (int number = 0; number < 12; ++number) {
    ModelOptions o = step_options(number);
    o.dropout = number % 5 == 0 ? 0.2 : 0;
    SCOPED_TRACE(number);
    const data::Dataset set =
        random_step_set(static_cast<std::uint64_t>(number), 35, 15, kTask, number % 3 > 0);
    reference::GradientCheck check;
    if (o.norm == Norm::kBatch) check.zero = {"linear.bias"};
    check.run(random_network(o, kTask, static_cast<std::uint64_t>(number) + 1), batch_of(set),
              {number % 2 == 0 ? 0.1 : 0.0, 3, static_cast<std::uint64_t>(number)}, pool);
  }
}

// Targets of the other tasks, also with a teacher.
TEST(Steps, HaveTheGradientsOfEveryTaskAndOfATeacher) {
  ThreadPool pool(1);
  for (const task::Task* task : task::tasks()) {
    SCOPED_TRACE(task->name());
    data::Dataset set = random_step_set(3, 21, 12, kTask, true);
    set.readout.task = task;
    const std::vector<float> labels = std::move(set.targets);
    set.targets.clear();
    for (const float label : labels) {
      for (std::size_t k = 0; k < set.readout.width(); ++k) {
        const bool one = static_cast<float>(k) == label;
        const float value = set.readout.width() == 1 ? label : one ? 1.0f : 0.0f;
        set.targets.push_back(std::isnan(label) ? task::kNotCounted : value);
      }
    }
    set.validate();
    const data::Batch batch = batch_of(set);
    const Network teacher = random_network(step_options(0), kTask, 5);
    const std::vector<float> opinion = outputs_of(teacher, batch);
    LossOptions loss{.distillation = 0.6, .temperature = 2};
    loss.teacher = opinion;
    reference::GradientCheck check;
    check.run(random_network(step_options(2), kTask), batch, loss, pool);
    Network student = random_network(step_options(2), kTask);
    loss.teacher = std::span(opinion).first(opinion.size() - 1);
    EXPECT_THAT([&] { student.train_step(batch, loss, pool); },
                ThrowsMessage<Error>(HasSubstr("teacher: ")));
  }
}

TEST(Steps, WithoutAnyTargetTeachNothing) {
  Network network = random_network(step_options(2), kTask);
  data::Dataset set = random_step_set(1, 19, 10, kTask, true);
  set.targets.assign(set.targets.size(), task::kNotCounted);
  ThreadPool pool(1);
  const BatchResult result = network.train_step(batch_of(set), {}, pool);
  EXPECT_EQ(result.count, 0u);
  EXPECT_EQ(result.loss, 0);
  for (const Parameter& p : network.parameters()) {
    EXPECT_EQ(p.gradient, std::vector<double>(p.gradient.size(), 0)) << p.name;
  }
}

TEST(Steps, AreNotReadFromTargetsOfWholeSequences) {
  ThreadPool pool(1);
  const data::Batch steps = batch_of(random_step_set(1, 3, 10, kTask));
  const data::Batch whole = batch_of(reference::random_set(1, 3, 10, kTask));
  Network at_steps = random_network(step_options(0), kTask);
  Network at_end = random_network(reference::small_options(), kTask);
  EXPECT_THAT([&] { at_steps.train_step(whole, {}, pool); },
              ThrowsMessage<Error>(HasSubstr(
                  "a target of every sequence, but the network's model.readout is \"step\"")));
  EXPECT_THAT([&] { at_end.evaluate(steps, pool); },
              ThrowsMessage<Error>(HasSubstr("a target of every step")));
}

TEST(Steps, SurviveTheFile) {
  const Network network = random_network(step_options(0), kTask);
  const Network again = Network::from_tensors(network.to_tensors(), "file");
  EXPECT_EQ(again.options().readout, task::Scope::kStep);
  const data::Batch batch = batch_of(random_step_set(1, 3, 10, kTask));
  EXPECT_EQ(outputs_of(again, batch), outputs_of(network, batch));
}

}  // namespace
}  // namespace crosstate::model
