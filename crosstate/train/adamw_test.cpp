#include "crosstate/train/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "crosstate/base/error.h"

namespace crosstate::train {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

model::Parameter parameter(const std::string& name, model::ParameterGroup group,
                           std::vector<float> value) {
  model::Parameter result;
  result.name = name;
  result.shape = {value.size()};
  result.group = group;
  result.gradient.resize(value.size());
  result.value = std::move(value);
  return result;
}

std::vector<model::Parameter> one_of_each() {
  return {parameter("weight", model::ParameterGroup::kWeight, {1, -2}),
          parameter("bias", model::ParameterGroup::kNoDecay, {1, -2}),
          parameter("log_dt", model::ParameterGroup::kRecurrence, {1, -2}),
          parameter("range", model::ParameterGroup::kRange, {1, -2})};
}

void set_gradients(std::vector<model::Parameter>& parameters, double first, double second) {
  for (model::Parameter& p : parameters) p.gradient = {first, second};
}

AdamWOptions test_options() {
  AdamWOptions options;
  options.learning_rate = 0.1;
  options.recurrence_rate = 0.01;
  options.range_rate = 0.001;
  options.weight_decay = 0.5;
  return options;
}

TEST(AdamW, FirstStepIsTheRateOfTheGroup) {
  std::vector<model::Parameter> parameters = one_of_each();
  AdamW optimizer(parameters, test_options());
  set_gradients(parameters, 3, -0.25);
  optimizer.step(parameters, 0.5);
  // With bias correction the first step has the sign of the gradient; decay subtracts 0.5 * 0.1 *
  // 0.5.
  EXPECT_NEAR(parameters[0].value[0], 1 * 0.975 - 0.05, 1e-6);
  EXPECT_NEAR(parameters[0].value[1], -2 * 0.975 + 0.05, 1e-6);
  EXPECT_NEAR(parameters[1].value[0], 1 - 0.05, 1e-6);
  EXPECT_NEAR(parameters[2].value[0], 1 - 0.005, 1e-6);
  EXPECT_NEAR(parameters[3].value[0], 1 - 0.0005, 1e-6);
}

TEST(AdamW, FollowsTheTextbookSequence) {
  std::vector<model::Parameter> parameters = one_of_each();
  AdamW optimizer(parameters, test_options());
  const std::vector<double> gradients = {1, -0.5, 2, 0, 0.25, -3};
  double value = 1, m = 0, v = 0, power1 = 1, power2 = 1;
  for (double gradient : gradients) {
    set_gradients(parameters, gradient * 4, 0);
    optimizer.step(parameters, 1, 0.25);

    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient * gradient;
    power1 *= 0.9;
    power2 *= 0.999;
    value -= 0.1 * 0.5 * value;
    value -= 0.1 * (m / (1 - power1)) / (std::sqrt(v / (1 - power2)) + 1e-8);
    EXPECT_NEAR(parameters[0].value[0], value, 1e-6);
  }
  EXPECT_EQ(optimizer.steps(), gradients.size());
  EXPECT_EQ(parameters[1].value[1], -2.0f);  // no gradient, no decay: unchanged
}

TEST(AdamW, ContinuesFromSavedMomentsBitForBit) {
  std::vector<model::Parameter> straight = one_of_each();
  AdamW optimizer(straight, test_options());
  set_gradients(straight, 0.3, -0.7);
  optimizer.step(straight, 1);

  formats::Safetensors saved;
  optimizer.save(straight, saved);
  std::vector<model::Parameter> resumed = straight;
  AdamW other(resumed, test_options());
  other.load(resumed, formats::parse_safetensors(formats::format_safetensors(saved), "memory"),
             "memory");

  set_gradients(straight, -0.1, 0.2);
  set_gradients(resumed, -0.1, 0.2);
  optimizer.step(straight, 0.9);
  other.step(resumed, 0.9);
  for (std::size_t p = 0; p < straight.size(); ++p) {
    EXPECT_EQ(straight[p].value, resumed[p].value);
  }
  EXPECT_EQ(other.steps(), 2u);
}

TEST(AdamW, ARestartedParameterTakesItsFirstStepAgain) {
  std::vector<model::Parameter> straight = one_of_each();
  AdamW optimizer(straight, test_options());
  for (int i = 0; i < 5; ++i) {
    set_gradients(straight, 100, -100);
    optimizer.step(straight, 1);
  }
  optimizer.restart(3);
  formats::Safetensors saved;
  optimizer.save(straight, saved);
  std::vector<model::Parameter> resumed = straight;
  AdamW other(resumed, test_options());
  other.load(resumed, formats::parse_safetensors(formats::format_safetensors(saved), "memory"),
             "memory");

  const float range = straight[3].value[0], bias = straight[1].value[0];
  set_gradients(straight, 0.01, -0.01);
  set_gradients(resumed, 0.01, -0.01);
  optimizer.step(straight, 1);
  other.step(resumed, 1);
  EXPECT_NEAR(range - straight[3].value[0], 0.001, 1e-6);  // the full rate
  EXPECT_GT(bias - straight[1].value[0], 0.05);  // the moments still contain large gradients
  for (std::size_t p = 0; p < straight.size(); ++p) {
    EXPECT_EQ(straight[p].value, resumed[p].value);
  }

  saved.metadata["optimizer.started.range"] = "6";
  EXPECT_THAT([&] { other.load(resumed, saved, "x"); },
              ThrowsMessage<Error>(HasSubstr("'optimizer.started.range' is 6, after the last")));
}

TEST(AdamW, RefusesWhatIsMissingOrMisshapen) {
  std::vector<model::Parameter> parameters = one_of_each();
  AdamW optimizer(parameters, test_options());
  formats::Safetensors saved;
  optimizer.save(parameters, saved);

  formats::Safetensors missing = saved;
  missing.tensors.erase("optimizer.v.bias");
  EXPECT_THAT([&] { optimizer.load(parameters, missing, "x"); },
              ThrowsMessage<Error>(HasSubstr("x: no tensor 'optimizer.v.bias'")));

  formats::Safetensors shape = saved;
  shape.tensors["optimizer.m.range"] = formats::Tensor::from(std::vector<float>{1}, {1});
  EXPECT_THAT([&] { optimizer.load(parameters, shape, "x"); },
              ThrowsMessage<Error>(HasSubstr("'optimizer.m.range'")));

  for (const auto& [name, value] :
       {std::pair{"optimizer.m.bias", std::nanf("")}, std::pair{"optimizer.v.bias", -1.0f}}) {
    formats::Safetensors damaged = saved;
    formats::Tensor& tensor = damaged.tensors.at(name);
    std::memcpy(tensor.bytes.data(), &value, sizeof value);
    EXPECT_THAT([&] { optimizer.load(parameters, damaged, "x"); },
                ThrowsMessage<Error>(HasSubstr(name)));
  }

  formats::Safetensors steps = saved;
  steps.metadata["optimizer.steps"] = "many";
  EXPECT_THAT([&] { optimizer.load(parameters, steps, "x"); },
              ThrowsMessage<Error>(HasSubstr("'optimizer.steps' is not an integer number")));
}

TEST(AdamW, MeasuresTheNormOfAllGradients) {
  std::vector<model::Parameter> parameters = one_of_each();
  set_gradients(parameters, 3, 4);
  EXPECT_DOUBLE_EQ(gradient_norm(parameters), 10);
  parameters[2].gradient[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(gradient_norm(parameters)));
}

}  // namespace
}  // namespace crosstate::train
