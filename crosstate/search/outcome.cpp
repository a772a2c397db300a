#include "crosstate/search/outcome.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"

namespace crosstate {
namespace {

using nlohmann::json;

constexpr std::size_t kMostError = 500;  // bytes

}  // namespace

double Outcome::metric(const std::string& name) const {
  const auto found = metrics.find(name);
  return found == metrics.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = {
      {"accuracy",
       "test accuracy of the deployed network: the integer network, else the last stage"},
      {"bytes", "memory of the last stage in total"},
      {"validation_accuracy", "of the last stage, on the part held out"},
      {"float_accuracy", "in floating point"},
      {"float_validation_accuracy", "likewise, on the part held out"},
      {"float_bytes", "likewise, stored"},
      {"ptq_accuracy", "after post-training quantization"},
      {"ptq_validation_accuracy", "likewise, on the part held out"},
      {"ptq_bytes", "likewise, stored"},
      {"qat_accuracy", "after quantization-aware training"},
      {"qat_validation_accuracy", "likewise, on the part held out"},
      {"qat_bytes", "likewise, stored"},
      {"integer_accuracy", "of the integer network; none where a site stays in floating point"},
      {"crossbar_accuracy", "mean over simulated chips"},
      {"crossbar_deviation", "from chip to chip"},
      {"parameters", "that are trained"},
      {"weight_bytes", "part of bytes"},
      {"bias_bytes", "part of bytes"},
      {"scale_bytes", "part of bytes"},
      {"table_bytes", "part of bytes"},
      {"state_bytes", "part of bytes"},
      {"weight_bits", "of the pointwise layers"},
      {"state_bits", "of the state"},
  };
  return all;
}

Outcome outcome_of(const RunSummary& summary, double integer_accuracy) {
  Outcome outcome;
  outcome.status = "done";
  outcome.seconds = summary.seconds;
  const auto set = [&](const std::string& name, double value) {
    if (std::isfinite(value)) outcome.metrics[name] = value;
  };
  const auto set_stage = [&](const std::string& prefix, const StageSummary& stage) {
    if (!stage.done) return;
    set(prefix + "accuracy", stage.accuracy);
    set(prefix + "validation_accuracy", stage.validation_accuracy);
    set(prefix + "bytes", static_cast<double>(stage.memory.total()));
  };
  set_stage("float_", summary.float_stage);
  set_stage("ptq_", summary.ptq);
  set_stage("qat_", summary.qat);
  const StageSummary& last = summary.qat.done ? summary.qat : summary.float_stage;
  set_stage("", last);
  set("integer_accuracy", integer_accuracy);
  set("accuracy", integer_accuracy);  // where there is one
  for (const auto& [name, kind] : {std::pair{"weight_bytes", MemoryKind::kWeights},
                                   {"bias_bytes", MemoryKind::kBiases},
                                   {"scale_bytes", MemoryKind::kScales},
                                   {"table_bytes", MemoryKind::kTables},
                                   {"state_bytes", MemoryKind::kState}}) {
    set(name, static_cast<double>(last.memory.bytes(kind)));
  }
  set("weight_bits", last.weight_bits);
  set("state_bits", last.state_bits);
  set("parameters", static_cast<double>(summary.pruned.done ? summary.pruned_size.parameters
                                                            : summary.parameters));
  if (summary.crossbar.done) {
    set("crossbar_accuracy", summary.crossbar.chips.first().mean);
    set("crossbar_deviation", summary.crossbar.chips.first().deviation);
  }
  return outcome;
}

Outcome failed_outcome(const std::string& error) {
  Outcome outcome;
  outcome.status = "failed";
  outcome.error = excerpt(error, kMostError);
  return outcome;
}

json to_json(const Outcome& outcome) {
  return {{"status", outcome.status},
          {"error", outcome.error},
          {"metrics", outcome.metrics},
          {"seconds", outcome.seconds}};
}

Outcome outcome_from(const json& from) {
  try {
    return {from.at("status"), from.at("error"),
            from.at("metrics").get<std::map<std::string, double>>(), from.at("seconds")};
  } catch (const json::exception&) {
    fail("outcome",
         "expected status, error, metrics and seconds, found " + excerpt(exact_json_text(from)));
  }
}

}  // namespace crosstate
