#include "crosstate/train/epoch_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/json.h"
#include "crosstate/base/random.h"

namespace crosstate::train {
namespace {

using nlohmann::json;
using testing::ElementsAre;

std::vector<double*> numbers_of(EpochLog& log) {
  return {&log.train_loss,    &log.train_metric, &log.validation_loss,   &log.validation_metric,
          &log.learning_rate, &log.seconds,      &log.samples_per_second};
}

// As in a log or a checkpoint.
EpochLog through_text(const EpochLog& log) {
  return parse_json(exact_json_text(json(log))).get<EpochLog>();
}

void expect_same_bits(EpochLog found, EpochLog expected) {
  EXPECT_EQ(found.epoch, expected.epoch);
  EXPECT_EQ(found.metric, expected.metric);
  EXPECT_EQ(found.stage, expected.stage);
  const std::vector<double*> a = numbers_of(found), b = numbers_of(expected);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*a[i]), std::bit_cast<std::uint64_t>(*b[i]))
        << i << ": " << *b[i];
  }
}

TEST(EpochLogs, KeepEveryBitAsText) {
  Random random(1, Stream::kTest);
  for (int i = 0; i < 300; ++i) {
    EpochLog log;
    log.epoch = 1 + static_cast<int>(random.below(1u << 30));
    if (i % 2 == 1) log.metric = "macro_f1";
    if (i % 3 == 1) log.stage = "w4a8s8 \"second\"";
    for (double* number : numbers_of(log)) {
      do {
        *number = std::bit_cast<double>(std::uint64_t{random.bits()} << 32 | random.bits());
      } while (!std::isfinite(*number));
    }
    expect_same_bits(through_text(log), log);
  }
  EpochLog extremes;
  using Limits = std::numeric_limits<double>;
  const std::vector<double> values = {
      0.0, -0.0, Limits::denorm_min(), Limits::max(), Limits::lowest(), Limits::min(), 0.1};
  const std::vector<double*> numbers = numbers_of(extremes);
  for (std::size_t i = 0; i < values.size(); ++i) *numbers[i] = values[i];
  expect_same_bits(through_text(extremes), extremes);
}

TEST(EpochLogs, HaveNoValuesWithoutAValidationSet) {
  EpochLog log;
  log.validation_loss = log.validation_metric = std::nan("");
  const json text = parse_json(exact_json_text(json(log)));
  EXPECT_TRUE(text.at("validation_loss").is_null());
  EXPECT_TRUE(text.at("validation_accuracy").is_null());
  const EpochLog read = text.get<EpochLog>();
  EXPECT_TRUE(std::isnan(read.validation_loss));
  EXPECT_TRUE(std::isnan(read.validation_metric));
}

TEST(EpochLogs, NameTheirMetric) {
  const auto keys = [](const EpochLog& log) {
    const json entry = log;
    std::vector<std::string> all;
    for (const auto& [key, value] : entry.items()) all.push_back(key);
    return all;
  };
  // Like those of earlier versions, which knew neither other metrics nor stages.
  EXPECT_THAT(keys({}), ElementsAre("epoch", "learning_rate", "samples_per_second", "seconds",
                                    "train_accuracy", "train_loss", "validation_accuracy",
                                    "validation_loss"));
  EpochLog log;
  log.metric = "r2";
  log.stage = "w2a8s8";
  EXPECT_THAT(keys(log),
              ElementsAre("epoch", "learning_rate", "metric", "samples_per_second", "seconds",
                          "stage", "train_loss", "train_r2", "validation_loss", "validation_r2"));
}

TEST(EpochLogs, MissNoKeyAndTakeNoText) {
  EpochLog log;
  log.metric = "r2";
  const json whole = log;
  for (const auto& [key, value] : whole.items()) {
    json part = whole, wrong = whole;
    part.erase(key);
    EXPECT_THROW(part.get<EpochLog>(), json::exception) << "without " << key;
    wrong[key] = value.is_string() ? json(1) : json("1");
    EXPECT_THROW(wrong.get<EpochLog>(), json::exception) << key;
  }
  EXPECT_THROW(json("text").get<EpochLog>(), json::exception);
  EXPECT_THROW(json::array().get<EpochLog>(), json::exception);
}

}  // namespace
}  // namespace crosstate::train
