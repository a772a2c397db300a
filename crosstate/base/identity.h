// Identity of work by content, to decide whether it may be continued.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {

/// Results of an earlier run cannot be continued: they are damaged or belong to other inputs. Every
/// other problem while continuing is an ordinary Error.
class CannotContinue : public Error {
 public:
  using Error::Error;
};

/// CRC-32.
std::uint32_t checksum(std::string_view bytes);

/// Checksum of the bytes of a file, as returned by read_file(). Throws Error for a file that cannot
/// be read.
std::uint32_t file_checksum(const std::filesystem::path& path);

/// JSON pointers into an identity, and the settings that determine the values there. A pointer that
/// ends in "/" matches every value below it; if its setting ends in ".", the key below is appended.
using SettingNames = std::vector<std::pair<std::string, std::string>>;

/// Throws CannotContinue (with `where`) naming the first value in which two identities differ, by
/// the first of `names` that fits; values without a name come first. null is no value.
void require_same(const nlohmann::json& found, const nlohmann::json& expected,
                  const std::string& where, const SettingNames& names = {});

}  // namespace crosstate
