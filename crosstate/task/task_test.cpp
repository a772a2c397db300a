#include "crosstate/task/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/error.h"

namespace crosstate::task {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Task, IsFoundByItsName) {
  EXPECT_EQ(&task_named("regression", "here"), &regression());
  EXPECT_THAT([] { task_named("guessing", "here"); },
              ThrowsMessage<Error>(HasSubstr("here: task \"guessing\", expected one of "
                                             "classification, regression, multi-label")));
}

TEST(Task, OutputTellsTheFirstOfEqualLargest) {
  const std::vector<float> values{1, 3, 3, 2};
  EXPECT_EQ(Output(values).largest, 1u);
}

TEST(Task, MetricsKnowTheirDirectionAndUnit) {
  const TaskMetric error{"rmse", "RMSE", false, false}, share{"accuracy", "accuracy", true, true};
  EXPECT_TRUE(error.better(1, 2));
  EXPECT_FALSE(share.better(1, 2));
  EXPECT_EQ(error.text(0.25), "0.2500");
  EXPECT_EQ(share.text(0.25), "25.00 %");
  EXPECT_EQ(share.text(std::nan("")), "-");
  EXPECT_EQ(share.heading(), "accuracy (%)");
  EXPECT_EQ(error.heading(), "RMSE");
}

TEST(Readout, ReadsBackFromAModelsFile) {
  for (const Readout& readout :
       {Readout{.names = {"a", "b"}}, Readout{&regression(), {"y"}, {0.1}, {1.0 / 3}},
        Readout{.names = {"a"}, .scope = Scope::kStep}}) {
    std::map<std::string, std::string> metadata;
    save_readout(readout, metadata);
    EXPECT_EQ(load_readout(metadata, "m"), readout);
  }
  EXPECT_EQ(load_readout({}, "m"), std::nullopt);
}

TEST(Readout, RefusesDamage) {
  std::map<std::string, std::string> good;
  save_readout(Readout{&regression(), {"y", "z"}, {0, 1}, {1, 1}}, good);
  for (const auto& [key, text] :
       std::vector<std::pair<std::string, std::string>>{{"task", "guessing"},
                                                        {"outputs", "["},
                                                        {"outputs", "[]"},
                                                        {"target_offset", "[1]"},
                                                        {"readout", "sequence"},
                                                        {"target_scale", "[1,null]"}}) {
    std::map<std::string, std::string> bad = good;
    bad[key] = text;
    EXPECT_THAT([&] { load_readout(bad, "m"); }, ThrowsMessage<Error>(HasSubstr("m: "))) << key;
  }
  good.erase("target_scale");
  EXPECT_THAT([&] { load_readout(good, "m"); }, ThrowsMessage<Error>(HasSubstr("target_scale")));
}

TEST(Readout, TellsWhatDiffers) {
  const Readout a{.names = {"x", "y"}}, b{.names = {"x", "z"}};
  const Readout value{&regression(), {"x", "y"}, {}, {}};
  EXPECT_NO_THROW(require_same_outputs(a, a, "m", "d"));
  EXPECT_THAT([&] { require_same_outputs(a, b, "m", "d"); },
              ThrowsMessage<Error>(HasSubstr("class 1 is \"y\" there and \"z\" here")));
  EXPECT_THAT(
      [&] { require_same_outputs(a, value, "m", "d"); },
      ThrowsMessage<Error>(HasSubstr("made for classification, but d has targets for regression")));
  const Readout steps{.names = {"x", "y"}, .scope = Scope::kStep};
  EXPECT_THAT([&] { require_same_outputs(steps, a, "m", "d"); },
              ThrowsMessage<Error>(HasSubstr(
                  "m: trained with a target for every step, but d has one of every sequence")));
}

TEST(Task, KnowsCellsOfStepsThatDoNotCount) {
  for (const Task* task : tasks()) {
    for (const char* cell : {"", "  ", "nan", "NaN"}) EXPECT_TRUE(task->not_counted(cell));
    for (const char* cell : {"0", "1", "x", "-2"}) EXPECT_FALSE(task->not_counted(cell)) << cell;
    EXPECT_EQ(task->not_counted("-1"), task == &classification()) << task->name();
  }
  EXPECT_TRUE(classification().not_counted("-1.0"));
}

TEST(Task, LeavesThePlaceOfATargetThatDoesNotCountEmpty) {
  const std::vector<float> outputs = {0.5f, -1};
  for (const Task* task : tasks()) {
    const Readout readout{task, {"a", "b"}, {}, {}, Scope::kStep};
    const std::vector<float> target(readout.width(), kNotCounted);
    const auto fields = task->prediction(readout, Output(outputs), target);
    EXPECT_EQ(fields.size(), task->prediction_header(readout).size());
    EXPECT_EQ(fields[0], "") << task->name();
    EXPECT_NE(fields[1], "") << task->name();
  }
}

}  // namespace
}  // namespace crosstate::task
