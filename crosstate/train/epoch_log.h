// Results of one epoch of training.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace crosstate::train {

struct EpochLog {
  int epoch = 0;  // from 1
  double train_loss = 0;
  std::string metric = "accuracy";  // name of the next two metrics, see TaskMetric::name
  double train_metric = 0;          // during training, while the network changes
  double validation_loss = 0;       // NaN without a validation set; null in JSON
  double validation_metric = 0;     // likewise
  double learning_rate = 0;         // of the weights, at the last step
  double seconds = 0;               // training and validation
  double samples_per_second = 0;    // of training alone
  std::string stage;  // with several stages of different formats, the name of this one; else empty
};

void to_json(nlohmann::json& entry, const EpochLog& log);
void from_json(const nlohmann::json& entry, EpochLog& log);

}  // namespace crosstate::train
