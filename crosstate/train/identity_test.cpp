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

}  // namespace
}  // namespace crosstate::train
