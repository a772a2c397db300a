#include "crosstate/train/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/train/testing.h"

namespace crosstate::train {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class ContextTest : public testing::Test {
 protected:
  ContextTest() { context_.stage = "qat"; }

  static model::Network made(int inputs, int outputs, bool every_step = false) {
    model::ModelOptions model;
    model.channels = model.states = 4;
    model.layers = 1;
    if (every_step) model.readout = task::Scope::kStep;
    return model::Network(model, {.inputs = inputs, .outputs = outputs}, 3);
  }
  void expect_refused(const std::string& message) const {
    EXPECT_THAT([&] { validate(context_, network_, training_, options_); },
                ThrowsMessage<Error>(HasSubstr(message)));
  }
  void expect_accepted() const {
    EXPECT_NO_THROW(validate(context_, network_, training_, options_));
  }

  const data::Dataset training_ = reference::level_set("toy train", 6, 1);
  const model::Network teacher_ = made(1, 3);
  model::Network network_ = made(1, 3);
  TrainOptions options_;
  TrainContext context_;
};

TEST_F(ContextTest, NeedsNeitherTeacherNorStages) {
  EXPECT_FALSE(context_.teacher.teaches());
  expect_accepted();
}

TEST_F(ContextTest, IgnoresTheNetworksOfATeacherWithoutAShare) {
  const model::Network other = made(2, 7);
  context_.teacher = {{&other, &teacher_}, 0, 0};
  EXPECT_FALSE(context_.teacher.teaches());
  expect_accepted();
}

TEST_F(ContextTest, ChecksEveryTeacher) {
  context_.teacher = {{&teacher_, &teacher_}, 1, 0.5};
  expect_accepted();
  const model::Network wide = made(2, 3), reads_steps = made(1, 3, true);
  context_.teacher.networks = {&teacher_, &wide};
  expect_refused("toy train: 1 channels, but the network has 2 inputs");
  context_.teacher.networks = {&teacher_, &teacher_, &reads_steps};
  expect_refused("toy train: a target of every sequence, but the network's model.readout is");
  // Streams need a teacher as much as targets do.
  context_.teacher = {{&wide}, 0, 2, 0.1};
  expect_refused("toy train: 1 channels, but the network has 2 inputs");
}

TEST_F(ContextTest, RefusesWeightsThatAreNoShares) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const double weight : {-1e-9, 1.0000001, infinity, nan}) {
    context_.teacher = {{&teacher_}, weight, 2};
    expect_refused("teacher: a weight of ");
  }
  for (const double temperature : {0.0, -2.0, infinity, nan}) {
    context_.teacher = {{&teacher_}, 0.5, temperature};
    expect_refused("teacher: a temperature of ");
  }
  for (const double streams : {-1e-9, infinity, nan}) {
    context_.teacher = {{&teacher_}, 0.5, 2, streams};
    expect_refused("teacher: a weight of streams of ");
  }
  context_.teacher = {{&teacher_}, 0, 2, 100};
  expect_accepted();
}

TEST_F(ContextTest, BeginsInTheFormatsOfTheFirstStage) {
  data::Batch batch;
  data::fill_batch(training_, data::shuffled(training_.count, 1, 0), 5, batch);
  const quant::QuantOptions first = quant::quant_preset("w8a8s0");
  // A preset that is not resolved yet has the same formats.
  quant::QuantOptions named;
  named.preset = "w8a8s0";
  options_.epochs = 3;
  context_.stages = {{"one", 1, named}, {"two", 2, quant::quant_preset("w4a8s8")}};
  expect_refused("qat: the network is not in the formats of the first stage");
  ThreadPool pool(1);
  network_.quantize(first, {&batch, 1}, pool);
  expect_accepted();
  context_.stages[0].quant.weight.bits = 5;
  expect_refused("qat: the network is not in the formats of the first stage");
  context_.stages[0].quant = first;
  options_.epochs = 4;
  expect_refused("qat: stages of 3 epochs in all, expected 4");
  context_.stages[1].epochs = -2;
  expect_refused("qat: stage two has -2 epochs, expected at least 1");
}

}  // namespace
}  // namespace crosstate::train
