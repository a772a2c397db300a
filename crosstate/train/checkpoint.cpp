#include "crosstate/train/checkpoint.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"
#include "crosstate/model/network.h"

namespace crosstate::train {
namespace {

using nlohmann::json;

constexpr std::string_view kBest = "best.";
constexpr std::string_view kAverage = "average.";
constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kTrain = "train.";
constexpr const char* kFormat = "train.format";  // missing in the first versions
constexpr FileFormat kVersions("crosstate checkpoint", 1);
constexpr const char* kIdentity = "train.identity";
constexpr const char* kHistory = model::kCheckpointKey;
constexpr const char* kBestEpoch = "train.best_epoch";

void add(const formats::Safetensors& part, std::string_view prefix, formats::Safetensors& whole) {
  const std::string before(prefix);
  for (const auto& [name, tensor] : part.tensors) whole.tensors[before + name] = tensor;
  for (const auto& [name, text] : part.metadata) whole.metadata[before + name] = text;
}

// Moves every entry to the part of the checkpoint that its name belongs to. `of` selects the map of
// a part that holds such entries.
template <class Entries>
void sort_in(formats::Safetensors& file, Entries formats::Safetensors::*of,
             TrainCheckpoint& parts) {
  for (auto& [name, value] : file.*of) {
    if (name.starts_with(kTrain)) continue;
    if (name.starts_with(kBest)) {
      (parts.best.*of)[name.substr(kBest.size())] = std::move(value);
    } else if (name.starts_with(kAverage)) {
      (parts.average.*of)[name.substr(kAverage.size())] = std::move(value);
    } else if (name.starts_with(kOptimizer)) {
      (parts.optimizer.*of)[name] = std::move(value);
    } else {
      (parts.network.*of)[name] = std::move(value);
    }
  }
}

const std::string& metadata(const formats::Safetensors& file, const char* key,
                            const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    fail(where, std::string("not a checkpoint of training: no metadata '") + key + "'");
  }
  return found->second;
}

[[noreturn]] void fail_damaged(const char* key, const std::string& where) {
  fail(where, std::string("metadata '") + key + "' is damaged");
}

json parsed(const formats::Safetensors& file, const char* key, const std::string& where) {
  const std::string& text = metadata(file, key, where);
  // The comparison of identities recurses once per level, so the depth is limited.
  constexpr int kMostDepth = 16;
  bool deep = false;
  const auto notice_depth = [&](int depth, json::parse_event_t, json&) {
    deep = deep || depth > kMostDepth;
    return !deep;
  };
  try {
    json value = json::parse(text, notice_depth);
    if (deep) fail(where, std::string("metadata '") + key + "' is nested too deeply");
    return value;
  } catch (const json::exception&) {
    fail_damaged(key, where);
  }
}

// The JSON library would truncate a fraction to an integer, which may not even fit.
int epoch_number(const json& value, const char* key, const std::string& where) {
  constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) fail_damaged(key, where);
  return value.get<int>();
}

std::vector<EpochLog> parsed_history(const formats::Safetensors& file, const std::string& where) {
  const json values = parsed(file, kHistory, where);
  std::vector<EpochLog> history;
  try {
    for (const json& value : values) {
      epoch_number(value.at("epoch"), kHistory, where);
      history.push_back(value.get<EpochLog>());
    }
  } catch (const json::exception&) {
    fail_damaged(kHistory, where);
  }
  return history;
}

void check_history(const TrainCheckpoint& checkpoint, const std::string& where) {
  int expected = 1;
  for (const EpochLog& log : checkpoint.history) {
    if (log.epoch != expected++) {
      fail(where, "the history has epoch " + std::to_string(log.epoch) + " where epoch " +
                      std::to_string(expected - 1) + " belongs");
    }
  }
  if (checkpoint.best_epoch < 1 || checkpoint.best_epoch >= expected) {
    fail(where, "best epoch " + std::to_string(checkpoint.best_epoch) + " of " +
                    std::to_string(checkpoint.history.size()));
  }
}

}  // namespace

std::string format_checkpoint(const TrainCheckpoint& checkpoint) {
  formats::Safetensors file;
  add(checkpoint.network, "", file);
  add(checkpoint.best, kBest, file);
  add(checkpoint.average, kAverage, file);
  add(checkpoint.optimizer, "", file);
  file.metadata[kFormat] = kVersions.text();
  file.metadata[kIdentity] = exact_json_text(checkpoint.identity);
  file.metadata[kHistory] = exact_json_text(json(checkpoint.history));
  file.metadata[kBestEpoch] = std::to_string(checkpoint.best_epoch);
  return formats::format_safetensors(file);
}

void write_checkpoint(const std::filesystem::path& path, const TrainCheckpoint& checkpoint) {
  write_file(path, format_checkpoint(checkpoint));
}

TrainCheckpoint read_checkpoint(const std::filesystem::path& path) {
  return parse_checkpoint(read_file(path), path.string());
}

TrainCheckpoint parse_checkpoint(const std::string& bytes, const std::string& where) try {
  formats::Safetensors file = formats::parse_safetensors(bytes, where);
  const auto format = file.metadata.find(kFormat);
  if (format != file.metadata.end()) kVersions.version_of(format->second, where);
  TrainCheckpoint result;
  result.identity = parsed(file, kIdentity, where);
  result.history = parsed_history(file, where);
  result.best_epoch = epoch_number(parsed(file, kBestEpoch, where), kBestEpoch, where);
  check_history(result, where);
  sort_in(file, &formats::Safetensors::tensors, result);
  sort_in(file, &formats::Safetensors::metadata, result);
  return result;
} catch (const Error& error) {
  throw CannotContinue(error.what());
}

}  // namespace crosstate::train
