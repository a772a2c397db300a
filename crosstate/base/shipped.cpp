#include "crosstate/base/shipped.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "crosstate/base/error.h"

// Both directories are defined by the build; without them only CROSSTATE_DATA_DIR is searched.
#ifndef CROSSTATE_INSTALL_DATA_DIR
#define CROSSTATE_INSTALL_DATA_DIR ""
#endif
#ifndef CROSSTATE_SOURCE_DATA_DIR
#define CROSSTATE_SOURCE_DATA_DIR ""
#endif

namespace crosstate {

namespace fs = std::filesystem;

namespace {

fs::path& own_directory() {
  static fs::path directory;
  return directory;
}

}  // namespace

void search_shipped_in(fs::path directory) { own_directory() = std::move(directory); }

fs::path shipped(std::string_view name) {
  if (const char* chosen = std::getenv("CROSSTATE_DATA_DIR"); chosen != nullptr && *chosen != 0) {
    return fs::path(chosen) / name;
  }
  std::string tried;
  for (const fs::path& directory : {own_directory(), fs::path(CROSSTATE_INSTALL_DATA_DIR),
                                    fs::path(CROSSTATE_SOURCE_DATA_DIR)}) {
    if (directory.empty()) continue;
    const fs::path path = directory / name;
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path;
    tried += (tried.empty() ? "" : " or ") + path.string();
  }
  fail(std::string(name), "not found" + (tried.empty() ? "" : " in " + tried) +
                              "; set CROSSTATE_DATA_DIR to the directory that holds it");
}

}  // namespace crosstate
