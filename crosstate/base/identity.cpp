#include "crosstate/base/identity.h"

#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"

namespace crosstate {
namespace {

using nlohmann::json;

// "/config/model/states" in the notation of users: "model.states".
std::string readable(std::string pointer, const SettingNames& names) {
  for (const auto& [at, setting] : names) {
    if (pointer == at) return setting;
    if (!at.ends_with('/') || !pointer.starts_with(at)) continue;
    if (!setting.ends_with('.')) return setting;
    pointer.replace(0, at.size(), setting);
    std::replace(pointer.begin(), pointer.end(), '/', '.');
    return pointer;
  }
  constexpr std::string_view kConfig = "/config/";
  pointer.erase(0, pointer.starts_with(kConfig) ? kConfig.size() : 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

bool has(const json& flat, const std::string& key) {
  return flat.contains(key) && !flat[key].is_null();
}

// An option that an older or newer version does not have.
std::string shown(const json& flat, const std::string& key) {
  if (!has(flat, key)) return "missing";
  return excerpt(json_text(flat[key]));
}

// Order in which differences are reported: settings first, then counts in the content that settings
// name, and checksums of such content last; of these, those without a name, then in the order of
// the names.
std::pair<int, std::size_t> order_of(const json& before, const json& now, const std::string& key,
                                     const SettingNames& names) {
  const auto name = std::find_if(names.begin(), names.end(), [&](const auto& n) {
    return key == n.first || (n.first.ends_with('/') && key.starts_with(n.first));
  });
  const auto place = name == names.end() ? 0 : static_cast<std::size_t>(name - names.begin()) + 1;
  const std::string checksum = key.substr(0, key.rfind('/')) + "/checksum";
  if (key == checksum) return {2, place};
  return {before.contains(checksum) || now.contains(checksum) ? 1 : 0, place};
}

// Values from a file may be nested to any depth, but are traversed recursively.
constexpr int kMostDepth = 16;

bool is_deeper(const json& value, int most) {
  if (!value.is_structured()) return false;
  return most == 0 || std::any_of(value.begin(), value.end(),
                                  [&](const json& inner) { return is_deeper(inner, most - 1); });
}

}  // namespace

std::uint32_t checksum(std::string_view bytes) {
  const uLong start = crc32_z(0, nullptr, 0);
  if (bytes.empty()) return static_cast<std::uint32_t>(start);
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  return static_cast<std::uint32_t>(crc32_z(start, data, bytes.size()));
}

std::uint32_t file_checksum(const std::filesystem::path& path) { return checksum(read_file(path)); }

void require_same(const json& found, const json& expected, const std::string& where,
                  const SettingNames& names) {
  if (is_deeper(found, kMostDepth)) throw CannotContinue(where + ": nested too deeply");
  if ((!found.is_object() || found.empty()) && found != expected) {
    throw CannotContinue(where +
                         ": is damaged: it does not tell the settings that it was written "
                         "with; start a new run");
  }
  const json before = found.flatten(), now = expected.flatten();
  std::set<std::string> keys;
  for (const auto& item : before.items()) keys.insert(item.key());
  for (const auto& item : now.items()) keys.insert(item.key());
  const std::string* differs = nullptr;
  for (const std::string& key : keys) {
    if (has(before, key) == has(now, key) && (!has(now, key) || before[key] == now[key])) continue;
    if (differs == nullptr ||
        order_of(before, now, key, names) < order_of(before, now, *differs, names)) {
      differs = &key;
    }
  }
  if (differs == nullptr) return;
  throw CannotContinue(where + ": " + excerpt(readable(*differs, names)) + " was " +
                       shown(before, *differs) + " and is now " + shown(now, *differs) +
                       "; continue with the same value, or start a new run");
}

}  // namespace crosstate
