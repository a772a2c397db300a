// Files shipped with the library: sample data, targets, tables.
#pragma once

#include <filesystem>
#include <string_view>

namespace crosstate {

/// Path of `name` in the directory of CROSSTATE_DATA_DIR if that is set, otherwise in the installed
/// data, otherwise in the source tree. Throws Error if it is in none of these.
std::filesystem::path shipped(std::string_view name);

}  // namespace crosstate
