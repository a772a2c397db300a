#include "crosstate/train/checkpoint.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using nlohmann::json;

constexpr std::string_view kBest = "best.";
constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kTrain = "train.";
constexpr const char* kIdentity = "train.identity";
constexpr const char* kHistory = "train.history";
constexpr const char* kBestEpoch = "train.best_epoch";

void add(const Safetensors& part, std::string_view prefix, Safetensors& whole) {
  const std::string before(prefix);
  for (const auto& [name, tensor] : part.tensors) whole.tensors[before + name] = tensor;
  for (const auto& [name, text] : part.metadata) whole.metadata[before + name] = text;
}

// Moves an entry to the part of the checkpoint that its name belongs to.
template <class Value>
void sort_in(std::map<std::string, Value>& entries, std::map<std::string, Value>& network,
             std::map<std::string, Value>& best, std::map<std::string, Value>& optimizer) {
  for (auto& [name, value] : entries) {
    if (name.starts_with(kTrain)) continue;
    if (name.starts_with(kBest)) {
      best[name.substr(kBest.size())] = std::move(value);
    } else if (name.starts_with(kOptimizer)) {
      optimizer[name] = std::move(value);
    } else {
      network[name] = std::move(value);
    }
  }
}

const std::string& metadata(const Safetensors& file, const char* key, const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    fail(where, std::string("not a checkpoint of training: no metadata '") + key + "'");
  }
  return found->second;
}

template <class Value>
Value parsed(const Safetensors& file, const char* key, const std::string& where) {
  const std::string& text = metadata(file, key, where);
  // What is compared later is walked level by level on the stack.
  constexpr int kMostDepth = 16;
  bool deep = false;
  const auto notice_depth = [&](int depth, json::parse_event_t, json&) {
    deep = deep || depth > kMostDepth;
    return !deep;
  };
  try {
    const json value = json::parse(text, notice_depth);
    if (deep) fail(where, std::string("metadata '") + key + "' is nested too deeply");
    return value.get<Value>();
  } catch (const json::exception&) {
    fail(where, std::string("metadata '") + key + "' is damaged");
  }
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

// "/config/model/states" as a user knows it: "model.states".
std::string readable(std::string pointer) {
  constexpr std::string_view kConfig = "/config/";
  pointer.erase(0, pointer.starts_with(kConfig) ? kConfig.size() : 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

std::string shown(const json& flat, const std::string& key) {
  return flat.contains(key) ? flat[key].dump(-1, ' ', false, json::error_handler_t::replace)
                            : "absent";
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const TrainCheckpoint& checkpoint) {
  Safetensors file;
  add(checkpoint.network, "", file);
  add(checkpoint.best, kBest, file);
  add(checkpoint.optimizer, "", file);
  file.metadata[kIdentity] = checkpoint.identity.dump();
  file.metadata[kHistory] = json(checkpoint.history).dump();
  file.metadata[kBestEpoch] = std::to_string(checkpoint.best_epoch);
  write_safetensors(path, file);
}

TrainCheckpoint read_checkpoint(const std::filesystem::path& path) {
  const std::string where = path.string();
  Safetensors file = read_safetensors(path);
  TrainCheckpoint result;
  result.identity = parsed<json>(file, kIdentity, where);
  result.history = parsed<std::vector<EpochLog>>(file, kHistory, where);
  result.best_epoch = parsed<int>(file, kBestEpoch, where);
  check_history(result, where);
  sort_in(file.tensors, result.network.tensors, result.best.tensors, result.optimizer.tensors);
  sort_in(file.metadata, result.network.metadata, result.best.metadata, result.optimizer.metadata);
  return result;
}

void require_same(const json& found, const json& expected, const std::string& where) {
  const json before = found.flatten(), now = expected.flatten();
  std::set<std::string> keys;
  for (const auto& item : before.items()) keys.insert(item.key());
  for (const auto& item : now.items()) keys.insert(item.key());
  for (const std::string& key : keys) {
    if (before.contains(key) && now.contains(key) && before[key] == now[key]) continue;
    fail(where, readable(key) + " was " + shown(before, key) + " and is now " + shown(now, key) +
                    "; continue with the same value, or start afresh");
  }
}

}  // namespace crosstate
