// Files that come with the library: the sample data, targets, tables.
#pragma once

#include <filesystem>
#include <string_view>

namespace crosstate {

/// `name` in the directory of CROSSTATE_DATA_DIR if that is set, otherwise where the library was
/// installed, otherwise where it was built. Throws Error where none of these has it.
std::filesystem::path shipped(std::string_view name);

}  // namespace crosstate
