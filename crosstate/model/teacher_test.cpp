#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Teacher, ReachesEveryParameterOfANetworkWithATeacher) {
  const TaskShape task{2, 4};
  const data::Batch batch = reference::batch_of(reference::random_set(2, 21, 15, task, true));
  const Network network = reference::random_network(reference::small_options(), task);
  const Network teacher = reference::random_network(reference::small_options(), task, 5);
  ThreadPool pool(1);
  std::vector<float> logits;
  teacher.evaluate(batch, pool, &logits);
  LossOptions loss{.label_smoothing = 0.1, .distillation = 0.6, .temperature = 2};
  loss.teacher = logits;
  reference::GradientCheck check;
  check.zero = {"linear.bias"};  // removed by batch norm
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
}  // namespace crosstate::model
