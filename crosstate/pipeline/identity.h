// What decides the results of a run, by content: never by the name of a file or a directory.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {

/// Those of the settings {"section": {"key": value}} that `keys` select, as FieldList::use_only()
/// takes them. A section that has no keys is taken whole.
nlohmann::json selected(const nlohmann::json& settings, const std::vector<std::string>& keys);

/// Describes settings for require_same(). Every file and every data set is read once. Safe from
/// several threads.
class RunIdentity {
 public:
  /// All settings but those that only name a place or say how often something is reported. One that
  /// names a file (run.start, device.table) is the checksum of its content; a file that cannot be
  /// read keeps its name, and whoever needs it tells why.
  nlohmann::json settings(const RunOptions& options);
  /// Of these the selected() ones.
  nlohmann::json settings(const RunOptions& options, const std::vector<std::string>& keys);

  /// The same, and with the settings of the data the checksums of the sets that they name. Throws
  /// Error for data that cannot be read.
  nlohmann::json settings_and_data(const RunOptions& options);

 private:
  nlohmann::json settings_of(nlohmann::json values, const RunOptions& options);
  nlohmann::json content_of(const std::string& file);

  std::mutex mutex_;
  std::map<std::string, nlohmann::json> files_, data_;
};

}  // namespace crosstate::pipeline
