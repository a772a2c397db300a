#include "crosstate/train/epoch_log.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace crosstate::train {
namespace {

double number(const nlohmann::json& json, const std::string& key) {
  const nlohmann::json& value = json.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

void to_json(nlohmann::json& json, const EpochLog& log) {
  json = {{"epoch", log.epoch},
          {"train_loss", log.train_loss},
          {"train_" + log.metric, log.train_metric},
          {"validation_loss", log.validation_loss},
          {"validation_" + log.metric, log.validation_metric},
          {"learning_rate", log.learning_rate},
          {"seconds", log.seconds},
          {"samples_per_second", log.samples_per_second}};
  if (log.metric != EpochLog().metric) json["metric"] = log.metric;
  if (!log.stage.empty()) json["stage"] = log.stage;
}

void from_json(const nlohmann::json& json, EpochLog& log) {
  log.epoch = json.at("epoch").get<int>();
  log.train_loss = number(json, "train_loss");
  log.metric = json.value("metric", EpochLog().metric);
  log.train_metric = number(json, "train_" + log.metric);
  log.validation_loss = number(json, "validation_loss");
  log.validation_metric = number(json, "validation_" + log.metric);
  log.learning_rate = number(json, "learning_rate");
  log.seconds = number(json, "seconds");
  log.samples_per_second = number(json, "samples_per_second");
  log.stage = json.value("stage", "");
}

}  // namespace crosstate::train
