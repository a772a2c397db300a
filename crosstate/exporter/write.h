// Writes an export to a directory.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crosstate/exporter/options.h"
#include "crosstate/inference/model.h"

namespace crosstate::exporter {

/// Writes the files of an export (c_project.h, npz.h) to a directory, which is created if it is
/// missing, and returns what they are: "model", "format", "name", "memory", "files", and for C
/// "constants", "state" and "stack_arrays" in bytes. `note` gets what the user has to know, one
/// line, or "". Throws Error as c_project() does, before anything is written, and unless
/// `overwrite` for an existing file with other content.
nlohmann::json write_export(const inference::Model& model, const ExportOptions& options,
                            const std::filesystem::path& directory, bool overwrite,
                            std::string& note);

}  // namespace crosstate::exporter
