// What determines the results of a run, by content: never by the name of a file or directory.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {

/// The settings {"section": {"key": value}} that `keys` select, as in FieldList::use_only(). A
/// section without keys is selected as a whole.
nlohmann::json selected(const nlohmann::json& settings, const std::vector<std::string>& keys);

/// Describes settings for require_same(). Every file and every data set is read once. Thread-safe.
class RunIdentity {
 public:
  /// All settings except those that only name a place or set how often something is reported. A
  /// setting that names a file (run.start, device.table) is replaced by the checksum of its
  /// content; a file that cannot be read keeps its name, and the error is reported where the file
  /// is used.
  nlohmann::json settings(const RunOptions& options);
  /// Only the selected() ones of these.
  nlohmann::json settings(const RunOptions& options, const std::vector<std::string>& keys);

  /// The same and, if settings of the data are among them, the checksums of the sets that they
  /// select. Throws Error for data that cannot be read.
  nlohmann::json settings_and_data(const RunOptions& options);

 private:
  nlohmann::json settings_of(nlohmann::json values, const RunOptions& options);
  nlohmann::json content_of(const std::string& file);
  // Of one file the same as above, of several a list.
  nlohmann::json content_of(const std::vector<std::string>& files);

  std::mutex mutex_;
  std::map<std::string, nlohmann::json> files_, data_;
};

}  // namespace crosstate::pipeline
