#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/task/task.h"

namespace crosstate::task {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Task& kMultiLabel = task_named("multi-label", "test");

Readout classes_of(std::vector<std::string> names) {
  return {&kMultiLabel, std::move(names), {}, {}};
}

TEST(MultiLabel, GradientsEqualDifferences) {
  Random random(5, Stream::kTest);
  std::vector<float> outputs(4), teacher(4);
  for (auto* v : {&outputs, &teacher}) {
    for (float& x : *v) x = static_cast<float>(2 * random.normal());
  }
  const std::vector<float> target{1, 0, 0, 1};
  const std::vector<double> weights{0.5, 2, 1, 1, 3, 0.25, 1, 1.5};
  const Readout readout = classes_of({"a", "b", "c", "d"});
  for (const double distilled : {0.0, 0.4, 1.0}) {
    const TaskLoss options{0.1, weights, teacher, distilled, 3};
    std::vector<double> slope(4, 99);
    kMultiLabel.loss(readout, outputs, target, options, slope);
    for (std::size_t k = 0; k < 4; ++k) {
      const float at = outputs[k];
      constexpr float kStep = 1.0f / 1024;
      outputs[k] = at + kStep;
      const double high = kMultiLabel.loss(readout, outputs, target, options, {});
      outputs[k] = at - kStep;
      const double low = kMultiLabel.loss(readout, outputs, target, options, {});
      outputs[k] = at;
      EXPECT_NEAR(slope[k], (high - low) / (2 * kStep), 1e-4) << distilled;
    }
  }
}

TEST(MultiLabel, SubtractsOffsetsInTheTermOfTheTarget) {
  const std::vector<float> outputs{1, -2}, shifted{-1, -1.5f}, target{1, 0}, teacher{0.5f, 2};
  const std::vector<double> offsets{2, -0.5};
  const Readout readout = classes_of({"a", "b"});
  for (const double weight : {0.0, 0.4, 1.0}) {
    const auto loss = [&](std::span<const float> at, double w, std::span<const double> o,
                          std::span<double> slope) {
      const TaskLoss options{0.1, {}, teacher, w, 3, o};
      return kMultiLabel.loss(readout, at, target, options, slope);
    };
    std::vector<double> slope(2), of_target(2), of_teacher(2);
    EXPECT_NEAR(
        loss(outputs, weight, offsets, slope),
        (1 - weight) * loss(shifted, 0, {}, of_target) + weight * loss(outputs, 1, {}, of_teacher),
        1e-12);
    for (std::size_t k = 0; k < 2; ++k) {
      EXPECT_NEAR(slope[k], (1 - weight) * of_target[k] + weight * of_teacher[k], 1e-12);
    }
  }
}

TEST(MultiLabel, LossIsFiniteForLargeOutputs) {
  const std::vector<float> outputs{500, -500}, target{0, 1};
  std::vector<double> slope(2);
  EXPECT_NEAR(kMultiLabel.loss(classes_of({"a", "b"}), outputs, target, {}, slope), 500, 1e-9);
  EXPECT_THAT(slope, ElementsAre(0.5, -0.5));
}

TEST(MultiLabel, CountsWhatItTells) {
  const Readout readout = classes_of({"a", "b", "never"});
  std::vector<double> sums(kMultiLabel.sums(readout), 0);
  const auto add = [&](std::vector<float> target, std::vector<float> outputs) {
    kMultiLabel.add(readout, Output(outputs), target, sums);
  };
  add({1, 0, 0}, {2, -1, -3});    // exact match
  add({1, 1, 0}, {2, -1, -3});    // b missed
  add({0, 1, 0}, {0.5f, 1, -3});  // a predicted wrongly
  EXPECT_THAT(kMultiLabel.evaluate(readout, sums),
              ElementsAre(DoubleEq((4 / 5.0 + 2 / 3.0) / 2), DoubleEq(1 / 3.0), DoubleEq(2 / 9.0)));
  EXPECT_EQ(kMultiLabel.to_json(readout, sums).at("classes").at("b").at("recall"), 0.5);
  EXPECT_THAT(kMultiLabel.tables(readout, sums)[0].rows[0],
              ElementsAre("a", "2", "66.67", "100.00", "80.00"));
  EXPECT_THAT(kMultiLabel.tables(readout, sums)[0].rows[2],
              ElementsAre("never", "0", "-", "-", "-"));
}

TEST(MultiLabel, TellsTheClassesAboveZero) {
  const std::vector<float> outputs{1.5f, -2, 0.25f};
  EXPECT_THAT(kMultiLabel.answer(classes_of({"a", "b", "c"}), Output(outputs)),
              ElementsAre("a;c", "1.5", "-2", "0.25"));
}

TEST(MultiLabel, HoldsOutSomeOfEverySetOfClasses) {
  const std::vector<float> targets{1, 0, 0, 1, 1, 0, 1, 1};
  EXPECT_THAT(kMultiLabel.strata(classes_of({"a", "b"}), targets), ElementsAre(0, 1, 0, 2));
}

TEST(MultiLabel, BalancesPresenceAndAbsence) {
  const std::vector<float> targets{1, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_THAT(kMultiLabel.balanced_weights(classes_of({"a", "b"}), targets),
              ElementsAre(DoubleEq(4 / 6.0), 2, 1, 1));
}

TEST(MultiLabel, ReadsZerosAndOnes) {
  TargetTable table{{"even", "loop"}, 2, {"1", "0.0", "0", "1"}, {"t:2", "t:3"}};
  std::vector<float> targets;
  EXPECT_THAT(kMultiLabel.read(table, targets).names, ElementsAre("even", "loop"));
  EXPECT_THAT(targets, ElementsAre(1, 0, 0, 1));
  EXPECT_EQ(kMultiLabel.lacking(classes_of({"a", "b"}), std::vector<float>{1, 0, 0, 0}),
            "no training sequence of class \"b\"");
  table.cells[3] = "2";
  EXPECT_THAT([&] { kMultiLabel.read(table, targets); },
              ThrowsMessage<Error>(HasSubstr("t:3: target \"2\", expected 0 or 1")));
}

}  // namespace
}  // namespace crosstate::task
