#include "crosstate/train/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/identity.h"

namespace crosstate::train {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(TrainIdentity, RunsOfEarlierVersionsMayHaveARateOfRangesThatTheirNetworksLack) {
  json now = {{"stage", "float"},
              {"config", {{"train", {{"epochs", 3}}}}},
              {"options", {{"range_rate", 0.001}}},
              {"parameters", {{"encoder.weight", {4, 1}}}}};
  json before = now;
  before["config"]["train"]["range_rate"] = 0.5;
  before["options"]["range_rate"] = 0.5;
  EXPECT_NO_THROW(require_same_run(before, now, "x"));
  before["config"]["train"]["epochs"] = 4;
  EXPECT_THAT([&] { require_same_run(before, now, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("train.epochs was 4 and is now 3")));
  before["config"]["train"]["epochs"] = 3;

  now["stage"] = before["stage"] = "qat";
  now["parameters"]["range.input"] = before["parameters"]["range.input"] = {1};
  EXPECT_THAT([&] { require_same_run(before, now, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("qat.range_rate was 0.5")));
}

TEST(TrainIdentity, RunsOfEarlierVersionsHadNoClassOffsets) {
  json now = {
      {"stage", "qat"},
      {"config",
       {{"train", {{"class_offsets", ""}, {"epochs", 3}}}, {"qat", {{"class_offsets", ""}}}}},
      {"options", {{"class_offsets", ""}}},
      {"parameters", json::object()}};
  json before = now;
  for (const char* place : {"/config/train", "/config/qat", "/options"}) {
    before[json::json_pointer(place)].erase("class_offsets");
  }
  EXPECT_NO_THROW(require_same_run(before, now, "x"));
  now["options"]["class_offsets"] = "yes=1";
  EXPECT_THAT([&] { require_same_run(before, now, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("qat.class_offsets was \"\"")));
}

// Names of stored files are hashes of settings, so they must not change with new ones.
TEST(TrainIdentity, SettingsThatHaveNoEffectAreAsBefore) {
  const json before = {{"train", {{"epochs", 3}}}, {"qat", {{"epochs", 2}}}, {"seed", 1}};
  json now = before;
  now["train"]["class_offsets"] = now["qat"]["class_offsets"] = "";
  EXPECT_EQ(as_before(now), before);
  now["qat"]["class_offsets"] = "yes=1";
  json expected = before;
  expected["qat"]["class_offsets"] = "yes=1";
  EXPECT_EQ(as_before(now), expected);
  EXPECT_EQ(as_before(before), before);
}

TEST(TrainIdentity, NamesTheSettingsThatDiffer) {
  const auto expect = [](const std::string& stage, const json& before, const json& now,
                         const std::string& message) {
    const auto identity = [&](json values) {
      values.update({{"stage", stage}, {"parameters", json::object()}});
      return values;
    };
    EXPECT_THAT([&] { require_same_run(identity(before), identity(now), "x"); },
                ThrowsMessage<CannotContinue>(HasSubstr("x: " + message)));
  };
  const json one = {{"options", {{"epochs", 1}, {"validation", 0.1}}}};
  const json two = {{"options", {{"epochs", 2}, {"validation", 0.1}}}};
  expect("float", one, two, "train.epochs was 1 and is now 2");
  expect("qat", one, two, "qat.epochs was 1");
  expect("pruned-penalty", one, two, "prune.penalty_epochs was 1");
  expect("pruned-step2", one, two, "the share of this step in qat.epochs was 1");
  expect("qat", one, {{"options", {{"epochs", 1}, {"validation", 0.2}}}},
         "train.validation was 0.1 and is now 0.2");
  json set = two;
  set["config"]["model"]["states"] = 4;
  expect("qat", one, set, "model.states was missing and is now 4");
}

}  // namespace
}  // namespace crosstate::train
