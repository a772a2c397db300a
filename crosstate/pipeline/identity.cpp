#include "crosstate/pipeline/identity.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::pipeline {

using nlohmann::json;

json selected(const json& settings, const std::vector<std::string>& keys) {
  json chosen = json::object();
  for (const auto& [section, values] : settings.items()) {
    if (!values.is_object()) {
      if (selects(keys, section + '.')) chosen[section] = values;
      continue;
    }
    for (const auto& [key, value] : values.items()) {
      if (selects(keys, section + '.' + key)) chosen[section][key] = value;
    }
  }
  return chosen;
}

json RunIdentity::content_of(const std::string& file) {
  if (file.empty()) return "";
  const std::lock_guard lock(mutex_);
  const auto known = files_.find(file);
  if (known != files_.end()) return known->second;
  json content;
  try {
    content = {{"checksum", file_checksum(file)}};
  } catch (const Error&) {
    content = file;
  }
  return files_[file] = content;
}

json RunIdentity::content_of(const std::vector<std::string>& files) {
  if (files.empty()) return "";
  if (files.size() == 1) return content_of(files.front());
  json list = json::array();
  for (const std::string& file : files) list.push_back(content_of(file));
  return list;
}

json RunIdentity::settings(const RunOptions& options) {
  RunOptions copy = options;
  return settings_of(copy.fields().to_json(), options);
}

json RunIdentity::settings(const RunOptions& options, const std::vector<std::string>& keys) {
  return selected(settings(options), keys);
}

json RunIdentity::settings_of(json values, const RunOptions& options) {
  values.at("data").erase("directory");
  values.at("train").erase("log_every");
  values.at("qat").erase("log_every");
  values.at("prune").erase(
      "against");  // its content is identified with the model that it is compared with
  values.at("run").at("start") = content_of(options.start);
  values.at("qat").at("teacher") = content_of(options.qat.teachers());
  values.at("device").at("table") = content_of(options.target.device.table);
  // When a run is resumed, the driver's command may differ, for example in its port or its timeout.
  json& external = values.at("external");
  external = options.target.external.used() ? json{{"voltage", external.at("voltage")}} : json();
  return values;
}

json RunIdentity::settings_and_data(const RunOptions& options) {
  RunOptions copy = options;
  json values = copy.fields().to_json();
  const task::Scope scope = options.model.readout;
  const std::string key = json_text(values.at("data")) + name_of(scope);
  values = settings_of(std::move(values), options);
  const std::lock_guard lock(mutex_);
  auto known = data_.find(key);
  if (known == data_.end()) known = data_.emplace(key, data_identity(options.data, scope)).first;
  values.at("data").update(known->second);
  return values;
}

}  // namespace crosstate::pipeline
