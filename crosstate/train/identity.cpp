#include "crosstate/train/identity.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/identity.h"

namespace crosstate::train {
namespace {

using nlohmann::json;

json describe(const TrainOptions& options) {
  TrainOptions copy = options;
  FieldList list;
  fields(list, "train", copy);
  json values = list.to_json().at("train");
  values.erase("log_every");  // affects only the progress reports
  return values;
}

json describe(const std::vector<model::Parameter>& parameters) {
  json shapes = json::object();
  for (const model::Parameter& parameter : parameters) shapes[parameter.name] = parameter.shape;
  return shapes;
}

json describe(const Teacher& teacher) {
  if (!teacher.teaches()) return nullptr;
  json checksums = json::array();
  for (const model::Network* network : teacher.networks) checksums.push_back(checksum(*network));
  json values = {{"weight", teacher.weight},
                 {"temperature", teacher.temperature},
                 {"checksum", checksums.size() == 1 ? checksums.front() : checksums}};
  if (teacher.streams > 0) values["streams"] = teacher.streams;
  return values;
}

json describe(const std::vector<QuantStage>& stages) {
  json list = json::array();
  for (const QuantStage& stage : stages) {
    quant::QuantOptions copy = stage.quant;
    FieldList values;
    quant::fields(values, copy);
    list.push_back({{"name", stage.name}, {"epochs", stage.epochs}, {"formats", values.to_json()}});
  }
  return list;
}

// An option of a training stage that is new. Where it is empty, a run is what it was.
constexpr const char* kNewOption = "class_offsets";

void add_new_options(json& found, const json& expected) {
  if (found.is_object() && !found.contains(kNewOption) && expected.contains(kNewOption)) {
    found[kNewOption] = "";
  }
}

// The identity of a run of an earlier version, in which networks without ranges had a range_rate.
json renewed(json found, const json& expected) {
  const json::json_pointer rate("/options/range_rate");
  if (found.contains("config") && expected.contains("config")) {
    found["config"] = in_this_version(found["config"], expected["config"]);
  }
  if (found.contains("options")) add_new_options(found["options"], expected.at("options"));
  const bool ranges = expected.at("parameters").contains("range.input");
  if (!ranges && found.contains(rate)) found[rate] = expected.at(rate);
  return found;
}

}  // namespace

json in_this_version(json config, const json& expected) {
  if (!config.is_object()) return config;
  if (config.contains("train") && config["train"].is_object()) config["train"].erase("range_rate");
  for (const char* section : {"train", "qat"}) {
    if (config.contains(section) && expected.contains(section)) {
      add_new_options(config[section], expected.at(section));
    }
  }
  return config;
}

json as_before(json config) {
  for (const char* section : {"train", "qat"}) {
    if (!config.is_object() || !config.contains(section)) continue;
    json& options = config[section];
    if (options.is_object() && options.value(kNewOption, "") == "") options.erase(kNewOption);
  }
  return config;
}

std::uint32_t checksum(const formats::Safetensors& content) {
  return crosstate::checksum(formats::format_safetensors(content));
}

std::uint32_t checksum(const model::Network& network) { return checksum(network.to_tensors()); }

json data_identity(const data::Dataset& set) {
  return {{"count", set.count},
          {"length", set.length},
          {"channels", set.channels},
          {"outputs", set.readout.outputs()},
          {"checksum", data::checksum(set)}};
}

json run_identity(const model::Network& network, const data::Dataset& training,
                  const data::Dataset& validation, const TrainOptions& options,
                  const TrainContext& context) {
  return {
      {"stage", context.stage},
      {"seed", context.seed},
      {"config", context.config},
      {"options", describe(options)},
      {"teacher", describe(context.teacher)},
      {"stages", describe(context.stages)},
      {"data", {{"training", data_identity(training)}, {"validation", data_identity(validation)}}},
      {"parameters", describe(network.parameters())}};
}

void require_same_run(const json& found, const json& expected, const std::string& where) {
  const std::string stage = expected.at("stage");
  const json before = renewed(found, expected);
  const std::string section = stage == "float" || stage == "train" ? "train." : "qat.";
  std::string epochs = section + "epochs";
  if (stage.ends_with("-penalty")) epochs = "prune.penalty_epochs";
  if (stage.find("-step") != std::string::npos) epochs = "the share of this step in qat.epochs";
  require_same(before, expected, where,
               {{"/options/validation", "train.validation"},
                {"/options/epochs", epochs},
                {"/options/", section},
                {"/teacher/weight", "qat.distill"},
                {"/teacher/temperature", "qat.temperature"},
                {"/teacher/streams", "qat.distill_streams"},
                {"/teacher/checksum", "the checksum of qat.teacher"},
                {"/teacher/checksum/", "the checksum of qat.teacher"},
                {"/stages/", "qat.stages."}});
}

}  // namespace crosstate::train
