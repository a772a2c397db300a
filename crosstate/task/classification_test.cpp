#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/task/task.h"

namespace crosstate::task {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<float> random_logits(std::uint64_t seed, std::size_t count, double size) {
  Random random(seed, Stream::kTest);
  std::vector<float> logits(count);
  for (float& z : logits) z = static_cast<float>(size * random.normal());
  return logits;
}

Readout classes_of(std::size_t count) {
  Readout readout;
  for (std::size_t k = 0; k < count; ++k) readout.names.push_back(std::to_string(k));
  return readout;
}

double classification_loss(std::span<const float> logits, std::size_t label, TaskLoss options,
                           std::span<const float> teacher, std::span<double> slope) {
  options.teacher = teacher;
  const auto target = static_cast<float>(label);
  return classification().loss(classes_of(logits.size()), logits, std::span(&target, 1), options,
                               slope);
}

TaskLoss distilled(double weight, double temperature, double smoothing = 0) {
  TaskLoss options;
  options.label_smoothing = smoothing;
  options.distillation = weight;
  options.temperature = temperature;
  return options;
}

TEST(Loss, GradientsEqualDifferences) {
  for (const std::size_t classes : {2u, 7u, 35u}) {
    for (const double weight : {0.0, 0.3, 1.0}) {
      for (const double temperature : {0.5, 2.0, 8.0}) {
        const TaskLoss options = distilled(weight, temperature, 0.1);
        std::vector<float> logits = random_logits(classes, classes, 2);
        const std::vector<float> teacher = random_logits(classes + 1, classes, 3);
        std::vector<double> slope(classes, 99);
        classification_loss(logits, classes - 1, options, teacher, slope);
        for (std::size_t k = 0; k < classes; ++k) {
          constexpr float kStep = 1.0f / 256;
          const float z = logits[k];
          const auto at = [&](float value) {
            logits[k] = value;
            return classification_loss(logits, classes - 1, options, teacher, {});
          };
          const double high = at(z + kStep), low = at(z - kStep);
          const double span = static_cast<double>(z + kStep) - static_cast<double>(z - kStep);
          EXPECT_NEAR(slope[k], (high - low) / span, 1e-4) << weight << " " << temperature;
          logits[k] = z;
        }
      }
    }
  }
}

TEST(Loss, WithoutATeacherIsTheCrossEntropy) {
  const std::vector<float> logits{1, 2, 0.5f};
  const double total = std::exp(1.0) + std::exp(2.0) + std::exp(0.5);
  const TaskLoss options = distilled(0.7, 3);
  EXPECT_NEAR(classification_loss(logits, 1, options, {}, {}), std::log(total) - 2, 1e-12);
  const std::vector<float> teacher{5, -1, 0};
  EXPECT_EQ(classification_loss(logits, 1, distilled(0, 3), teacher, {}),
            classification_loss(logits, 1, options, {}, {}));
}

TEST(Loss, VanishesWhereTeacherAndStudentAgree) {
  const std::vector<float> logits{1, 2, 0.5f};
  const std::vector<float> shifted{11, 12, 10.5f};  // the same distribution
  std::vector<double> slope(3);
  EXPECT_NEAR(classification_loss(logits, 0, distilled(1, 2), shifted, slope), 0, 1e-12);
  for (const double g : slope) EXPECT_NEAR(g, 0, 1e-12);
  const std::vector<float> other{2, 1, 0.5f};
  EXPECT_GT(classification_loss(logits, 0, distilled(1, 2), other, slope), 0.1);
}

// T^2 preserves the magnitude of the gradient: for soft distributions it is that of squared
// differences.
TEST(Loss, HasAGradientThatTheTemperatureHardlyScales) {
  const std::vector<float> logits{1, 2, 0.5f}, teacher{2, 1, 0.5f};
  std::vector<double> warm(3), hot(3);
  classification_loss(logits, 0, distilled(1, 50), teacher, warm);
  classification_loss(logits, 0, distilled(1, 100), teacher, hot);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(warm[k], hot[k], 0.02);
  EXPECT_NEAR(hot[0], -1.0 / 3, 0.02);
}

TEST(Loss, IsFiniteForLogitsThatExpOverflows) {
  const std::vector<float> logits{2000, -2000, 0}, teacher{-2000, 2000, 0};
  std::vector<double> slope(3);
  EXPECT_TRUE(std::isfinite(classification_loss(logits, 1, distilled(0.5, 1), teacher, slope)));
  for (const double g : slope) EXPECT_TRUE(std::isfinite(g));
}

TEST(Loss, CountsAClassByItsWeight) {
  const std::vector<float> logits{1, 2, 0.5f};
  const std::vector<double> weights{1, 0.25, 3};
  std::vector<double> plain(3), weighted(3);
  const double loss = classification_loss(logits, 1, {}, {}, plain);
  TaskLoss options;
  options.weights = weights;
  EXPECT_EQ(classification_loss(logits, 1, options, {}, weighted), 0.25 * loss);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(weighted[k], 0.25 * plain[k]);
}

// The term of the teacher is that of the outputs themselves.
TEST(Loss, SubtractsOffsetsInTheTermOfTheTarget) {
  const std::vector<float> logits{1, 2, 0.5f}, shifted{1, 0.5f, 0.75f}, teacher{2, 1, 0.5f};
  const std::vector<double> offsets{0, 1.5, -0.25};
  for (const double weight : {0.0, 0.4, 1.0}) {
    TaskLoss options = distilled(weight, 3, 0.1);
    options.offsets = offsets;
    std::vector<double> slope(3), of_target(3), of_teacher(3);
    const double loss = classification_loss(logits, 1, options, teacher, slope);
    const double target = classification_loss(shifted, 1, distilled(0, 3, 0.1), {}, of_target);
    const double taught = classification_loss(logits, 1, distilled(1, 3), teacher, of_teacher);
    EXPECT_NEAR(loss, (1 - weight) * target + weight * taught, 1e-12);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(slope[k], (1 - weight) * of_target[k] + weight * of_teacher[k], 1e-12);
    }
  }
}

TEST(Classification, BalancesClassesByTheirNumbers) {
  const std::vector<float> targets{0, 0, 0, 0, 0, 0, 1, 1};
  const std::vector<double> weights = classification().balanced_weights(classes_of(3), targets);
  EXPECT_THAT(weights, ElementsAre(DoubleEq(8 / 12.0), DoubleEq(2), 1));
  EXPECT_NEAR(6 * weights[0], 2 * weights[1], 1e-12);
}

TEST(Classification, CountsWhatItTells) {
  const Readout readout{.names = {"a", "b", "c", "absent"}};
  const Task& task = *readout.task;
  std::vector<double> sums(task.sums(readout), 0);
  const auto add = [&](float label, std::size_t decision) {
    std::vector<float> logits(4, 0);
    logits[decision] = 1;
    task.add(readout, Output(logits), std::span(&label, 1), sums);
  };
  for (const auto& [label, decision] : std::vector<std::pair<float, std::size_t>>{
           {0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 2}, {2, 2}}) {
    add(label, decision);
  }
  const double f1 = (2 * 2 / 5.0 + 2 * 1 / 4.0 + 2 * 3 / 7.0) / 3;
  EXPECT_THAT(task.evaluate(readout, sums), ElementsAre(0.75, DoubleEq(f1)));
  const nlohmann::json json = task.to_json(readout, sums);
  EXPECT_EQ(json.at("correct"), 6);
  EXPECT_EQ(json.at("recall").at("b"), 0.5);
  EXPECT_EQ(json.at("confusion").at(1), (nlohmann::json{0, 1, 1, 0}));
  EXPECT_EQ(task.text(readout, sums), "accuracy 75.00 % (6 of 8; 95 % interval 40.93 to 92.85 %)");
  const std::vector<TaskTable> tables = task.tables(readout, sums);
  EXPECT_THAT(tables[0].rows[1], ElementsAre("b", "2", "50.00", "50.00"));
  EXPECT_THAT(tables[0].rows[3], ElementsAre("absent", "0", "-", "-"));
  EXPECT_THAT(tables[1].rows[0], ElementsAre("a", "2", "1", "0", "0"));
}

TEST(Classification, ReadsNumbersAndNames) {
  std::vector<float> targets;
  const auto read = [&](std::vector<std::string> cells) {
    TargetTable table;
    table.where.assign(cells.size(), "file:1");
    table.cells = std::move(cells);
    return classification().read(table, targets).names;
  };
  EXPECT_THAT(read({"10", "2.0", "2e0", "10"}), ElementsAre("2", "10"));
  EXPECT_THAT(targets, ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(read({"yes", "no", "1"}), ElementsAre("1", "no", "yes"));
  EXPECT_THAT([&] { read({"yes", ""}); }, ThrowsMessage<Error>(HasSubstr("file:1: no class")));
}

}  // namespace
}  // namespace crosstate::task
