// Files shipped with the library: sample data, targets, tables.
#pragma once

#include <filesystem>
#include <string_view>

namespace crosstate {

/// Path of `name` in the directory of CROSSTATE_DATA_DIR if that is set, otherwise in that of
/// search_shipped_in(), in the installed data, or in the source tree. Throws Error if it is in none
/// of these.
std::filesystem::path shipped(std::string_view name);

/// Names a directory that has the data of a copy of the library which may be installed anywhere.
/// Call it before other threads call shipped().
void search_shipped_in(std::filesystem::path directory);

}  // namespace crosstate
