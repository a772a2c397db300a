#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/task/task.h"

namespace crosstate::task {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Task& kRegression = regression();

Readout fitted(std::size_t width, std::span<const float> targets) {
  Readout readout;
  readout.task = &kRegression;
  for (std::size_t k = 0; k < width; ++k) readout.names.push_back("y" + std::to_string(k));
  kRegression.fit(readout, targets);
  return readout;
}

TEST(Regression, NormalisesByTheTrainingSet) {
  const std::vector<float> targets{10, 5, 20, 5, 30, 5};
  const Readout readout = fitted(2, targets);
  EXPECT_THAT(readout.offset, ElementsAre(20, 5));
  EXPECT_THAT(readout.scale, ElementsAre(DoubleNear(std::sqrt(200.0 / 3), 1e-12), 1));
  // An output of one standard deviation, converted to the unit of the target.
  const std::vector<float> outputs{1, 0};
  EXPECT_THAT(kRegression.answer(readout, Output(outputs)), ElementsAre("28.1649658", "5"));
}

TEST(Regression, GradientsEqualDifferences) {
  Random random(3, Stream::kTest);
  std::vector<float> outputs(3), target(3), teacher(3);
  for (auto* v : {&outputs, &target, &teacher}) {
    for (float& x : *v) x = static_cast<float>(random.normal());
  }
  const std::vector<float> set{0, 0, 0, 4, 2, 6};
  const Readout readout = fitted(3, set);
  for (const double weight : {0.0, 0.3, 1.0}) {
    TaskLoss options;
    options.distillation = weight;
    options.teacher = teacher;
    std::vector<double> slope(3, 99);
    kRegression.loss(readout, outputs, target, options, slope);
    for (std::size_t k = 0; k < 3; ++k) {
      const float at = outputs[k];
      constexpr float kStep = 1.0f / 1024;
      outputs[k] = at + kStep;
      const double high = kRegression.loss(readout, outputs, target, options, {});
      outputs[k] = at - kStep;
      const double low = kRegression.loss(readout, outputs, target, options, {});
      outputs[k] = at;
      EXPECT_NEAR(slope[k], (high - low) / (2 * kStep), 1e-4);
    }
  }
}

TEST(Regression, MeasuresInTheUnitOfTheTarget) {
  const std::vector<float> targets{1, 2, 3, 6};
  const Readout readout = fitted(1, targets);
  std::vector<double> sums(kRegression.sums(readout), 0), part = sums;
  const std::vector<double> told{1.5, 2, 2, 6};
  double squares = 0, sizes = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto output = static_cast<float>((told[i] - readout.offset[0]) / readout.scale[0]);
    kRegression.add(readout, Output(std::span(&output, 1)), std::span(&targets[i], 1),
                    i < 2 ? sums : part);
    squares += (told[i] - targets[i]) * (told[i] - targets[i]);
    sizes += std::abs(told[i] - targets[i]);
  }
  for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += part[k];  // two parts give the whole
  EXPECT_THAT(kRegression.evaluate(readout, sums),
              ElementsAre(DoubleNear(1 - squares / 14, 1e-6),
                          DoubleNear(std::sqrt(squares / 4), 1e-6), DoubleNear(sizes / 4, 1e-6)));
  EXPECT_THAT(kRegression.text(readout, sums), HasSubstr("R2 0.9107, RMSE 0.5590, MAE 0.3750"));
}

TEST(Regression, OfEqualTargetsExplainsNothing) {
  const std::vector<float> targets{2, 2, 2};
  const Readout readout = fitted(1, targets);
  EXPECT_THAT(kRegression.unusable(readout, targets), HasSubstr("the same target"));
  std::vector<double> sums(kRegression.sums(readout), 0);
  const float output = 0.5f;
  kRegression.add(readout, Output(std::span(&output, 1)), std::span(&targets[0], 1), sums);
  EXPECT_EQ(primary_value(readout, sums), 0);
}

TEST(Regression, HoldsOutSomeOfEveryTenth) {
  std::vector<float> targets;
  for (int i = 0; i < 400; ++i) targets.push_back(static_cast<float>((i * 37) % 400));
  const Readout readout = fitted(1, targets);
  const std::vector<std::int32_t> strata = kRegression.strata(readout, targets);
  for (std::size_t i = 0; i < 400; ++i) {
    EXPECT_EQ(strata[i], static_cast<std::int32_t>(targets[i]) / 40);
  }
  const std::vector<std::int32_t> few = kRegression.strata(readout, std::span(targets).first(60));
  EXPECT_EQ(*std::max_element(few.begin(), few.end()), 2);
}

TEST(Regression, ReadsNumbersAlone) {
  TargetTable table;
  table.names = {"force"};
  table.width = 1;
  table.cells = {"1.5", "-2e-3"};
  table.where = {"t:2", "t:3"};
  std::vector<float> targets;
  EXPECT_THAT(kRegression.read(table, targets).names, ElementsAre("force"));
  EXPECT_THAT(targets, ElementsAre(1.5f, -2e-3f));
  table.cells[1] = "high";
  EXPECT_THAT([&] { kRegression.read(table, targets); },
              ThrowsMessage<Error>(HasSubstr("t:3: target \"high\" is not a number")));
}

}  // namespace
}  // namespace crosstate::task
