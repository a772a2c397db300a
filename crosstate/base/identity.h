// Telling by content whether work that continues is the same work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "crosstate/base/error.h"

namespace crosstate {

/// What an earlier run left cannot be continued: it is damaged, or of other inputs. Everything else
/// that goes wrong while continuing is an Error of its own kind.
class CannotContinue : public Error {
 public:
  using Error::Error;
};

/// CRC-32.
std::uint32_t checksum(std::string_view bytes);

/// Of the file's bytes, as read_file() has them. Throws Error for a file that cannot be read.
std::uint32_t file_checksum(const std::filesystem::path& path);

/// Throws CannotContinue (with `where`) that names the first value in which two identities differ.
void require_same(const nlohmann::json& found, const nlohmann::json& expected,
                  const std::string& where);

}  // namespace crosstate
