#include "crosstate/train/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kSequences = 37;  // two groups of 16 lanes and a rest

model::Network evaluated_network(task::Scope scope = task::Scope::kSequence) {
  model::ModelOptions options = model::reference::small_options();
  options.readout = scope;
  return model::reference::random_network(options, model::kTask);
}

// The same sums from the specification in double, one sequence after the other.
struct DirectSums {
  DirectSums(const model::Network& network, const data::Dataset& set)
      : confusion(set.readout.outputs() * set.readout.outputs(), 0) {
    const auto values = model::reference::values_of<double>(network);
    for (std::size_t i = 0; i < set.count; ++i) {
      const auto outputs = model::reference::outputs(values, model::reference::sequence_of(set, i));
      for (std::size_t k = 0; k < set.targets_of(i); ++k) {
        if (task::counts(set.target(i, k))) add(outputs[k], set.target(i, k)[0]);
      }
    }
  }
  void add(const std::vector<double>& logits, float target) {
    const auto label = static_cast<std::size_t>(target);
    const auto top = std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const double z : logits) total += std::exp(z - *top);
    loss += std::log(total) + *top - logits[label];
    ++confusion[label * logits.size() + static_cast<std::size_t>(top - logits.begin())];
    ++targets;
  }
  double loss = 0;
  std::vector<double> confusion;
  std::size_t targets = 0;
};

void expect_direct_sums(const model::Network& network, const data::Dataset& set) {
  const DirectSums direct(network, set);
  double right = 0;
  const std::size_t classes = set.readout.outputs();
  for (std::size_t k = 0; k < classes; ++k) right += direct.confusion[k * classes + k];
  for (const int batch : {1, 5, 16, 36, 37, 1000}) {
    double first = 0;
    for (const int threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << batch << " at a time, " << threads << " threads");
      ThreadPool pool(threads);
      const Tally tally = evaluate_set(network, set, batch, pool, nullptr).value();
      EXPECT_EQ(tally.count, set.count);
      EXPECT_EQ(tally.targets, direct.targets);
      EXPECT_EQ(tally.sums, direct.confusion);
      EXPECT_EQ(tally.readout, set.readout);
      EXPECT_NEAR(tally.loss_sum, direct.loss, 1e-5 * direct.loss);
      EXPECT_DOUBLE_EQ(tally.loss(), tally.loss_sum / static_cast<double>(direct.targets));
      EXPECT_DOUBLE_EQ(tally.metric(), right / static_cast<double>(direct.targets));
      if (threads == 1) first = tally.loss_sum;
      EXPECT_EQ(tally.loss_sum, first) << "the same bits for any number of threads";
    }
  }
}

TEST(Evaluate, AddsUpSequencesOfAnyLength) {
  expect_direct_sums(evaluated_network(),
                     model::reference::random_set(3, kSequences, 23, model::kTask, true));
}

TEST(Evaluate, AddsUpTheStepsThatCount) {
  data::Dataset set = model::reference::random_step_set(3, kSequences, 23, model::kTask, true);
  // The shortest ones share a batch, in which nothing counts.
  std::vector<std::uint32_t> shortest = data::length_order(set);
  shortest.resize(6);
  for (const std::uint32_t i : shortest) {
    std::fill_n(set.targets.begin() + static_cast<std::ptrdiff_t>(i * set.length), set.length,
                task::kNotCounted);
  }
  set.validate();
  expect_direct_sums(evaluated_network(task::Scope::kStep), set);
}

TEST(Evaluate, ReportsTheSameResults) {
  const model::Network network = evaluated_network();
  const data::Dataset set = model::reference::random_set(4, kSequences, 9, model::kTask);
  ThreadPool pool(2);
  const Tally tally = evaluate_set(network, set, 16, pool, nullptr).value();
  const Tally result = evaluate_result(network, set, 16, pool, nullptr).value();
  EXPECT_EQ(result.loss_sum, tally.loss_sum);
  EXPECT_EQ(result.sums, tally.sums);
  double loss = 0;
  EXPECT_EQ(evaluate_metric(network, set, 16, pool, &loss), tally.metric());
  EXPECT_EQ(loss, tally.loss());
  EXPECT_EQ(evaluate_metric(network, set, 16, pool), tally.metric());
}

TEST(Evaluate, AsksBeforeEveryBatchWhetherToStop) {
  const model::Network network = evaluated_network();
  const data::Dataset set = model::reference::random_set(5, kSequences, 5, model::kTask);
  ThreadPool pool(1);
  int asked = 0;
  const auto stopped_at = [&](int number) {
    asked = 0;
    return [&asked, number] { return ++asked == number; };
  };
  EXPECT_TRUE(evaluate_set(network, set, 10, pool, stopped_at(5)));
  EXPECT_EQ(asked, 4);  // batches of 10, 10, 10 and 7
  for (const int number : {1, 4}) {
    EXPECT_FALSE(evaluate_set(network, set, 10, pool, stopped_at(number)));
    EXPECT_EQ(asked, number);
    EXPECT_FALSE(evaluate_result(network, set, 10, pool, stopped_at(number)));
    EXPECT_EQ(asked, number);
  }
}

TEST(Evaluate, WeightsBatchesByTheirTargets) {
  Tally tally;
  tally.add({2, {1, 0, 3}, 3}, 1);
  tally.add({0, {0, 0, 0}, 0}, 4);  // nothing counts
  tally.add({6, {0, 2, 1}, 1}, 2);
  EXPECT_DOUBLE_EQ(tally.loss(), (3 * 2 + 6) / 4.0);
  EXPECT_THAT(tally.sums, ElementsAre(1, 2, 4));
  EXPECT_EQ(tally.count, 7u);
  EXPECT_EQ(tally.targets, 4u);
}

TEST(Evaluate, RefusesSetsOfOtherShapes) {
  const model::Network network = evaluated_network();
  ThreadPool pool(1);
  const data::Dataset fits = model::reference::random_set(6, 3, 5, model::kTask);
  EXPECT_NO_THROW(check_fits(network, fits));
  const auto expect_refused = [&](const data::Dataset& set, const std::string& message) {
    EXPECT_THAT([&] { check_fits(network, set); }, ThrowsMessage<Error>(HasSubstr(message)));
    EXPECT_THAT([&] { evaluate_metric(network, set, 16, pool); },
                ThrowsMessage<Error>(HasSubstr(message)));
  };
  expect_refused(model::reference::random_set(6, 3, 5, {3, 4}),
                 "random: 3 channels, but the network has 2 inputs");
  expect_refused(model::reference::random_set(6, 3, 5, {2, 5}),
                 "random: 5 classes, but the network has 4 outputs");
  data::Dataset values = fits;
  values.readout.task = &task::regression();
  values.readout.names = {"x"};
  expect_refused(values, "random: 1 target values, but the network has 4 outputs");
  expect_refused(model::reference::random_step_set(6, 3, 5, model::kTask),
                 "random: a target of every step, but the network's model.readout is \"sequence\"");
  EXPECT_THAT([&] { check_fits(evaluated_network(task::Scope::kStep), fits); },
              ThrowsMessage<Error>(HasSubstr("random: a target of every sequence, but the "
                                             "network's model.readout is \"step\"")));
}

TEST(Evaluate, RefusesWhatHasNoResult) {
  const model::Network network = evaluated_network();
  ThreadPool pool(1);
  const data::Dataset set = model::reference::random_set(7, 3, 5, model::kTask);
  for (const int batch : {0, -7}) {
    const std::string message =
        "random: batch size " + std::to_string(batch) + ", expected at least 1";
    EXPECT_THAT([&] { evaluate_result(network, set, batch, pool, nullptr); },
                ThrowsMessage<Error>(HasSubstr(message)));
    EXPECT_THAT([&] { evaluate_set(network, set, batch, pool, nullptr); },
                ThrowsMessage<Error>(HasSubstr(message)));
  }
  data::Dataset none = set;
  none.count = 0;
  for (const data::Dataset& empty : {none, data::Dataset()}) {
    EXPECT_THAT([&] { evaluate_set(network, empty, 16, pool, nullptr); },
                ThrowsMessage<Error>(HasSubstr("no sequences to evaluate")));
    EXPECT_THAT([&] { evaluate_result(network, empty, 16, pool, nullptr); },
                ThrowsMessage<Error>(HasSubstr("no sequences to evaluate")));
  }
  data::Dataset unlabelled = model::reference::random_step_set(7, 3, 5, model::kTask);
  std::fill(unlabelled.targets.begin(), unlabelled.targets.end(), task::kNotCounted);
  EXPECT_THAT(
      [&] { evaluate_metric(evaluated_network(task::Scope::kStep), unlabelled, 16, pool); },
      ThrowsMessage<Error>(HasSubstr("random: no step has a target, expected at least one")));
  // A loss that overflows is not a result, but a stopped evaluation has none to be wrong.
  model::Network endless = network;
  for (model::Parameter& parameter : endless.parameters()) {
    if (!parameter.name.starts_with("decoder")) continue;
    for (float& v : parameter.value) v = std::numeric_limits<float>::quiet_NaN();
  }
  EXPECT_THAT([&] { evaluate_result(endless, set, 16, pool, nullptr); },
              ThrowsMessage<Error>(HasSubstr("random: the loss of the network is")));
  EXPECT_FALSE(evaluate_result(endless, set, 16, pool, [] { return true; }));
}

}  // namespace
}  // namespace crosstate::train
