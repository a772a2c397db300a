#include "crosstate/model/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "crosstate/base/error.h"

namespace crosstate::model {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_refused(const ModelOptions& options, const std::string& message) {
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr(message)));
}

TEST(ModelOptions, DefaultsAreValidAndEveryFieldHasHelp) {
  ModelOptions options;
  validate(options);
  FieldList list;
  fields(list, options);
  EXPECT_EQ(list.all().size(), 17u);
  for (const Field& field : list.all()) {
    EXPECT_TRUE(field.key.starts_with("model.")) << field.key;
    EXPECT_FALSE(field.help.empty()) << field.key;
  }
}

TEST(ModelOptions, FieldsReachTheirValues) {
  ModelOptions options;
  FieldList list;
  fields(list, options);
  list.set("model.states=7");
  list.set("model.modes=real");
  list.set("model.init=real");
  list.set("model.train_b=true");
  EXPECT_EQ(options.states, 7);
  EXPECT_TRUE(options.train_b);
  validate(options);
  EXPECT_THROW(list.set("model.activation=tanh"), Error);
}

// The choices are those of the tables, and each name selects a different function.
TEST(ModelOptions, EveryNameHasAMeaningOfItsOwn) {
  ModelOptions options;
  FieldList list;
  fields(list, options);
  const auto expect_named = [&](const std::string& key, auto meaning) {
    const auto field = std::ranges::find(list.all(), key, &Field::key);
    ASSERT_NE(field, list.all().end()) << key;
    std::set<decltype(meaning())> seen;
    for (const std::string& name : field->choices) {
      list.set(key + '=' + name);
      EXPECT_TRUE(seen.insert(meaning()).second) << key << ' ' << name;
    }
    EXPECT_GT(seen.size(), 1u) << key;
    for (const char* other : {"", "tanh", "GELU", "none of these"}) {
      EXPECT_THAT([&] { list.set(key + '=' + other); },
                  ThrowsMessage<Error>(HasSubstr(key + " = \"" + other + "\", expected")));
    }
  };
  expect_named("model.activation", [&] { return options.activation; });
  expect_named("model.gate", [&] { return gate_of(options.gate); });
  expect_named("model.discretization", [&] { return options.discretization; });
}

TEST(ModelOptions, RefusesCombinations) {
  ModelOptions odd;
  odd.states = 15;
  expect_refused(odd, "model.states = 15, expected an even number");

  ModelOptions real;
  real.modes = ModeKind::kReal;
  expect_refused(real, "model.init = \"lin\", expected \"real\"");

  ModelOptions steps;
  steps.dt_min = 0.5;
  expect_refused(steps, "model.dt_min = 0.5");
}

TEST(ModelOptions, RefusesValuesSetInCode) {
  ModelOptions channels;
  channels.channels = 0;
  expect_refused(channels, "model.channels = 0, expected an integer, 1 to 4096");

  ModelOptions activation;
  activation.activation = kernels::Activation::kSigmoid;
  expect_refused(activation,
                 "model.activation = \"\", expected one of gelu, hard-gelu, relu, identity");

  ModelOptions dropout;
  dropout.dropout = std::numeric_limits<double>::quiet_NaN();
  expect_refused(dropout, "model.dropout = nan");
}

}  // namespace
}  // namespace crosstate::model
