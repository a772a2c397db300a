#include "crosstate/model/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<float> random_logits(std::uint64_t seed, std::size_t count, double size) {
  Random random(seed, Stream::kTest);
  std::vector<float> logits(count);
  for (float& z : logits) z = static_cast<float>(size * random.normal());
  return logits;
}

LossOptions distilled(double weight, double temperature, double smoothing = 0) {
  LossOptions options;
  options.label_smoothing = smoothing;
  options.distillation = weight;
  options.temperature = temperature;
  return options;
}

TEST(Loss, GradientsEqualDifferences) {
  for (const std::size_t classes : {2u, 7u, 35u}) {
    for (const double weight : {0.0, 0.3, 1.0}) {
      for (const double temperature : {0.5, 2.0, 8.0}) {
        const LossOptions options = distilled(weight, temperature, 0.1);
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
  const LossOptions options = distilled(0.7, 3);
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

// T^2 keeps the size of the gradient: for soft distributions it is that of squared differences.
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

TEST(Loss, ReachesEveryParameterOfANetworkWithATeacher) {
  const TaskShape task{2, 4};
  const Batch batch = reference::batch_of(reference::random_set(2, 21, 15, task, true));
  const Network network = reference::random_network(reference::small_options(), task);
  const Network teacher = reference::random_network(reference::small_options(), task, 5);
  ThreadPool pool(1);
  std::vector<float> logits;
  teacher.evaluate(batch, pool, &logits);
  LossOptions loss = distilled(0.6, 2, 0.1);
  loss.teacher = logits;
  reference::GradientCheck check;
  check.zero = {"linear.bias"};  // batch norm takes it away
  check.run(network, batch, loss, pool);

  Network student = network;
  const double with = student.train_step(batch, loss, pool).loss;
  loss.teacher = {};
  EXPECT_NE(student.train_step(batch, loss, pool).loss, with);
  loss.teacher = std::span(logits).first(83);
  EXPECT_THAT([&] { student.train_step(batch, loss, pool); },
              ThrowsMessage<Error>(HasSubstr("teacher: 83 logits, expected 84")));
}

}  // namespace
}  // namespace crosstate
