#include "crosstate/exporter/write.h"

#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/cost/memory.h"
#include "crosstate/exporter/c_project.h"
#include "crosstate/exporter/npz.h"

namespace crosstate::exporter {
namespace {

namespace fs = std::filesystem;

// Files of the user beside an export are never replaced without being asked for.
void require_new(const fs::path& directory, const std::vector<SourceFile>& files) {
  for (const SourceFile& file : files) {
    const fs::path path = directory / file.path;
    std::error_code ignored;
    if (!fs::exists(path, ignored) || read_file(path) == file.text) continue;
    fail(path.string(), "exists; --overwrite replaces it, or choose another directory");
  }
}

}  // namespace

nlohmann::json write_export(const inference::Model& model, const ExportOptions& options,
                            const fs::path& directory, bool overwrite, std::string& note) {
  const cost::MemorySummary memory = cost::count_memory(exported_network(model));
  nlohmann::json result = {{"model", model.name()},
                           {"format", name_of(options.format)},
                           {"name", prefix_of(model, options)},
                           {"memory", cost::to_json(memory)}};
  std::vector<SourceFile> files;
  note.clear();
  if (options.format == ExportFormat::kC) {
    CProject project = c_project(model, options);
    files = std::move(project.files);
    note = std::move(project.note);
    result["constants"] = project.network.table_bytes;
    result["state"] = project.network.state_bytes;
    result["stack_arrays"] = project.network.scratch_bytes;
  } else {
    files = {npz_file(model, options)};
  }
  make_writable_directory(directory);
  if (!overwrite) require_new(directory, files);
  for (const SourceFile& file : files) {
    result["files"].push_back(file.path);
    make_writable_directory((directory / file.path).parent_path());
    write_file(directory / file.path, file.text);
  }
  return result;
}

}  // namespace crosstate::exporter
