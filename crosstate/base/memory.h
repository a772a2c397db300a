// Memory that is left for this process, asked before work that needs much of it: Linux grants
// memory that it does not have and later kills the process.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace crosstate {

/// Bytes that this process can still allocate: those that are free on the machine or, if less, in
/// one of the control groups (version 2) that limit the process; nullopt where the system does not
/// tell. `root`: the directory that holds proc and sys.
std::optional<double> available_memory(const std::filesystem::path& root = "/");

/// Throws Error "SOURCE: PURPOSE needs 14.3 GB of memory, but 9.7 GB are available" and `remedy`,
/// if `bytes` are more than available_memory().
void require_memory(const std::string& source, double bytes, const std::string& purpose,
                    const std::string& remedy = "");

}  // namespace crosstate
