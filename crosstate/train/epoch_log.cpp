#include "crosstate/train/epoch_log.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace crosstate::train {
namespace {

double number(const nlohmann::json& entry, const std::string& key) {
  const nlohmann::json& value = entry.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

void to_json(nlohmann::json& entry, const EpochLog& log) {
  entry = {{"epoch", log.epoch},
           {"train_loss", log.train_loss},
           {"train_" + log.metric, log.train_metric},
           {"validation_loss", log.validation_loss},
           {"validation_" + log.metric, log.validation_metric},
           {"learning_rate", log.learning_rate},
           {"seconds", log.seconds},
           {"samples_per_second", log.samples_per_second}};
  if (log.metric != EpochLog().metric) entry["metric"] = log.metric;
  if (!log.stage.empty()) entry["stage"] = log.stage;
}

void from_json(const nlohmann::json& entry, EpochLog& log) {
  log.epoch = entry.at("epoch").get<int>();
  log.train_loss = number(entry, "train_loss");
  log.metric = entry.value("metric", EpochLog().metric);
  log.train_metric = number(entry, "train_" + log.metric);
  log.validation_loss = number(entry, "validation_loss");
  log.validation_metric = number(entry, "validation_" + log.metric);
  log.learning_rate = number(entry, "learning_rate");
  log.seconds = number(entry, "seconds");
  log.samples_per_second = number(entry, "samples_per_second");
  log.stage = entry.value("stage", "");
}

}  // namespace crosstate::train
