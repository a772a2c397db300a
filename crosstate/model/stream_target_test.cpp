#include "crosstate/model/stream_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class StreamTargetTest : public testing::Test {
 protected:
  static Network network(Norm norm, std::uint64_t seed, int channels = 3) {
    ModelOptions o = reference::small_options();
    o.norm = norm;
    o.layers = 2;
    o.channels = channels;
    return reference::random_network(o, kTask, seed);
  }
  double loss(Network of, const LossOptions& options) {
    return of.train_step(batch_, options, pool_).loss;
  }

  ThreadPool pool_{2};
  const data::Batch batch_ = reference::batch_of(reference::random_set(3, 21, 23, kTask, true));
};

TEST_F(StreamTargetTest, AddsNothingForTheSameStreams) {
  const Network student = network(Norm::kNone, 5);
  const double alone = loss(student, {});
  EXPECT_EQ(loss(student, {.stream_teacher = &student, .stream_weight = 3}), alone);
  const Network teacher = network(Norm::kNone, 6);
  const double one = loss(student, {.stream_teacher = &teacher, .stream_weight = 1}) - alone;
  const double three = loss(student, {.stream_teacher = &teacher, .stream_weight = 3}) - alone;
  EXPECT_GT(one, 0);
  EXPECT_NEAR(three, 3 * one, 1e-9);
}

// Differences are relative to the teacher's streams: for a student stream of zeros they are 1.
TEST_F(StreamTargetTest, IsRelativeToTheTeacher) {
  const Network teacher = network(Norm::kNone, 6);
  Network silent = teacher;
  for (Parameter& p : silent.parameters()) {
    if (p.name.find("encoder") != std::string::npos || p.name.find("linear") != std::string::npos) {
      std::fill(p.value.begin(), p.value.end(), 0.0f);
    }
  }
  data::Dataset set = reference::random_set(3, 16, 23, kTask);  // sequences of one length
  const data::Batch batch = reference::batch_of(set);
  const double alone = silent.train_step(batch, {}, pool_).loss;
  const LossOptions options{.stream_teacher = &teacher, .stream_weight = 1};
  EXPECT_NEAR(silent.train_step(batch, options, pool_).loss - alone, 1, 1e-6);
}

TEST_F(StreamTargetTest, HasTheGradientOfTheLoss) {
  for (const Norm norm : {Norm::kNone, Norm::kBatch, Norm::kLayer}) {
    SCOPED_TRACE(name_of(norm));
    const Network teacher = network(Norm::kBatch, 6);
    const LossOptions options{.stream_teacher = &teacher, .stream_weight = 0.1};
    reference::GradientCheck check;
    check.noise = 5e-7;            // differences of streams are many times their teacher's size
    check.zero = {"linear.bias"};  // of batch norms
    check.run(network(norm, 5), batch_, options, pool_);
  }
}

TEST_F(StreamTargetTest, DoesNotDependOnThreads) {
  const Network teacher = network(Norm::kBatch, 6);
  const LossOptions options{.stream_teacher = &teacher, .stream_weight = 2};
  std::vector<std::vector<double>> gradients;
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    Network student = network(Norm::kBatch, 5);
    student.train_step(batch_, options, pool);
    std::vector<double> all;
    for (const Parameter& p : student.parameters()) {
      all.insert(all.end(), p.gradient.begin(), p.gradient.end());
    }
    gradients.push_back(std::move(all));
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST_F(StreamTargetTest, NeedsATeacherOfTheSameShape) {
  const Network teacher = network(Norm::kNone, 6, 4);
  EXPECT_THAT(
      [&] { loss(network(Norm::kNone, 5), {.stream_teacher = &teacher, .stream_weight = 1}); },
      ThrowsMessage<Error>(HasSubstr("4 channels behind 2 layers, expected 3 behind 2")));
  EXPECT_THAT([&] { loss(network(Norm::kNone, 5), {.stream_weight = 1}); },
              ThrowsMessage<Error>(HasSubstr("no network")));
}

}  // namespace
}  // namespace crosstate::model
