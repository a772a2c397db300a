// The part of `info` for integer networks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/data/options.h"
#include "crosstate/inference/model.h"
#include "crosstate/report/report.h"

namespace crosstate::cli {

struct IntegerReport {
  nlohmann::json values;  // "certificate" and, if sequences were available, "usage"
  std::vector<report::Table> tables;
  std::string text;
};

/// The certificate, and saturation rates and dead modes on the first test sequences of the set that
/// `data` names or, if none is named, of the built-in sample if it is of the model's task.
IntegerReport report_integers(const inference::Model& model, const data::DataOptions& data);

}  // namespace crosstate::cli
