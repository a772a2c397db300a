#include "crosstate/train/epoch_log.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace crosstate {
namespace {

double number(const nlohmann::json& json, const char* key) {
  const nlohmann::json& value = json.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

void to_json(nlohmann::json& json, const EpochLog& log) {
  json = {{"epoch", log.epoch},
          {"train_loss", log.train_loss},
          {"train_accuracy", log.train_accuracy},
          {"validation_loss", log.validation_loss},
          {"validation_accuracy", log.validation_accuracy},
          {"learning_rate", log.learning_rate},
          {"seconds", log.seconds},
          {"samples_per_second", log.samples_per_second}};
  if (!log.stage.empty()) json["stage"] = log.stage;
}

void from_json(const nlohmann::json& json, EpochLog& log) {
  log.epoch = json.at("epoch").get<int>();
  log.train_loss = number(json, "train_loss");
  log.train_accuracy = number(json, "train_accuracy");
  log.validation_loss = number(json, "validation_loss");
  log.validation_accuracy = number(json, "validation_accuracy");
  log.learning_rate = number(json, "learning_rate");
  log.seconds = number(json, "seconds");
  log.samples_per_second = number(json, "samples_per_second");
  log.stage = json.value("stage", "");
}

}  // namespace crosstate
