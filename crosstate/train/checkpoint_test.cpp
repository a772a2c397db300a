#include "crosstate/train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::train {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Checkpoint : public testing::Test {
 protected:
  Checkpoint() {
    example_.identity = {{"stage", "float"}, {"config", {{"model", {{"states", 16}}}}}};
    for (int epoch = 1; epoch <= 2; ++epoch) {
      EpochLog log;
      log.epoch = epoch;
      log.train_loss = 1.0 / (2 + epoch);
      log.validation_loss = std::numeric_limits<double>::quiet_NaN();
      log.stage = epoch == 2 ? "w2a8s8" : "";
      example_.history.push_back(log);
    }
    example_.best_epoch = 1;
    example_.network.tensors["C"] = formats::Tensor::from(std::vector<float>{1, 2}, {2});
    example_.network.metadata["model"] = "now";
    example_.best.tensors["C"] = formats::Tensor::from(std::vector<float>{3, 4}, {2});
    example_.best.metadata["model"] = "then";
    example_.average.tensors["C"] = formats::Tensor::from(std::vector<float>{7, 8}, {2});
    example_.average.metadata["model"] = "between";
    example_.optimizer.tensors["optimizer.m.C"] =
        formats::Tensor::from(std::vector<float>{5, 6}, {2});
    example_.optimizer.metadata["optimizer.steps"] = "12";
  }
  ~Checkpoint() override { std::filesystem::remove(path_); }

  void expect_refused(const std::string& message) {
    EXPECT_THAT([&] { (void)read_checkpoint(path_); },
                ThrowsMessage<Error>(HasSubstr(path_.string() + ": " + message)));
  }

  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("crosstate-checkpoint-" + std::to_string(getpid()));
  TrainCheckpoint example_;
};

TEST_F(Checkpoint, ComesBackInItsParts) {
  write_checkpoint(path_, example_);
  const TrainCheckpoint read = read_checkpoint(path_);
  EXPECT_EQ(read.identity, example_.identity);
  EXPECT_EQ(read.best_epoch, 1);
  ASSERT_EQ(read.history.size(), 2u);
  EXPECT_EQ(read.history[1].train_loss, 0.25);
  EXPECT_TRUE(std::isnan(read.history[1].validation_loss));
  EXPECT_EQ(read.history[0].stage, "");
  EXPECT_EQ(read.history[1].stage, "w2a8s8");
  const auto expect_same = [](const formats::Safetensors& found,
                              const formats::Safetensors& expected) {
    EXPECT_EQ(formats::format_safetensors(found), formats::format_safetensors(expected));
  };
  expect_same(read.network, example_.network);
  expect_same(read.best, example_.best);
  expect_same(read.optimizer, example_.optimizer);
  expect_same(read.average, example_.average);
}

TEST_F(Checkpoint, OfTheFirstFormatHaveNoVersionAndThoseOfNewerOnesAreRefused) {
  formats::Safetensors file = formats::parse_safetensors(format_checkpoint(example_), "x");
  file.metadata.at("train.format") = "crosstate checkpoint 2";
  formats::write_safetensors(path_, file);
  expect_refused("format 'crosstate checkpoint 2', expected 'crosstate checkpoint 1'");
  file.metadata.erase("train.format");
  formats::write_safetensors(path_, file);
  EXPECT_EQ(read_checkpoint(path_).best_epoch, 1);
}

TEST_F(Checkpoint, RefusesOtherFilesAndContradictions) {
  formats::write_safetensors(path_, example_.network);
  expect_refused("not a checkpoint of training: no metadata 'train.identity'");

  TrainCheckpoint best = example_;
  best.best_epoch = 3;
  write_checkpoint(path_, best);
  expect_refused("best epoch 3 of 2");

  TrainCheckpoint gap = example_;
  gap.history[1].epoch = 3;
  write_checkpoint(path_, gap);
  expect_refused("the history has epoch 3 where epoch 2 belongs");

  write_checkpoint(path_, example_);
  formats::Safetensors damaged = formats::read_safetensors(path_);
  damaged.metadata["train.history"] = "[{\"epoch\": 1}";
  formats::write_safetensors(path_, damaged);
  expect_refused("metadata 'train.history' is damaged");

  // A recursive comparison would overflow the stack.
  damaged.metadata["train.identity"] = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  formats::write_safetensors(path_, damaged);
  expect_refused("metadata 'train.identity' is nested too deeply");
}

TEST_F(Checkpoint, RefusesValuesOfOtherTypes) {
  write_checkpoint(path_, example_);
  const formats::Safetensors good = formats::read_safetensors(path_);
  const auto refused = [&](const char* key, const std::string& text) {
    SCOPED_TRACE(text);
    formats::Safetensors bad = good;
    bad.metadata[key] = text;
    formats::write_safetensors(path_, bad);
    expect_refused(std::string("metadata '") + key + "' is damaged");
  };
  std::string log = good.metadata.at("train.history");
  const std::string epoch = "\"epoch\":2";
  const std::size_t at = log.find(epoch);
  ASSERT_NE(at, std::string::npos);
  for (const char* number : {"2.0", "2.5", "true", "1e300", "-2", "4294967298", "null"}) {
    refused("train.best_epoch", number);
    refused("train.history",
            log.substr(0, at) + "\"epoch\":" + number + log.substr(at + epoch.size()));
  }
  for (const char* history : {"7", "[7]", "[[]]", "[{}]", "[{\"epoch\": 1}]", "{\"epoch\": 1}"}) {
    refused("train.history", history);
  }
}

TEST(CheckpointIdentity, NamesTheFirstDifference) {
  const json before = {{"config", {{"model", {{"layers", 2}, {"states", 16}}}}}, {"seed", 1}};
  require_same(before, before, "x");

  json other = before;
  other["config"]["model"]["states"] = 32;
  EXPECT_THAT([&] { require_same(before, other, "x"); },
              ThrowsMessage<Error>(HasSubstr("x: model.states was 16 and is now 32;")));
  other = before;
  other["config"]["model"]["norm"] = "batch";
  EXPECT_THAT([&] { require_same(before, other, "x"); },
              ThrowsMessage<Error>(HasSubstr("x: model.norm was missing and is now \"batch\"")));
  other = before;
  other["seed"] = 2;
  EXPECT_THAT([&] { require_same(before, other, "x"); },
              ThrowsMessage<Error>(HasSubstr("x: seed was 1 and is now 2")));
  EXPECT_THROW(require_same(json("text"), before, "x"), Error);
}

TEST(CheckpointIdentity, NamesASettingBeforeWhatFollowsFromIt) {
  const json before = {{"config", {{"data", {{"test_limit", 20}}}}},
                       {"data", {{"test", {{"checksum", 5}, {"count", 20}}}}},
                       {"seed", 1}};
  json other = before;
  other["data"]["test"]["checksum"] = 6;
  const auto expect_named = [&](const std::string& message) {
    EXPECT_THAT([&] { require_same(before, other, "x"); },
                ThrowsMessage<Error>(HasSubstr("x: " + message)));
  };
  expect_named("data.test.checksum was 5 and is now 6");
  other["data"]["test"]["count"] = 21;
  expect_named("data.test.count was 20 and is now 21");
  other["seed"] = 2;
  expect_named("seed was 1 and is now 2");
  other["config"]["data"]["test_limit"] = 21;
  expect_named("data.test_limit was 20 and is now 21");
}

}  // namespace
}  // namespace crosstate::train
