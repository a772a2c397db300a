// crosstate export MODEL: the integer network as C for microcontrollers, or as arrays.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/cost/memory.h"
#include "crosstate/exporter/c_project.h"
#include "crosstate/exporter/npz.h"
#include "crosstate/inference/model.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;

// Files of the user beside an export are never replaced without being asked for.
void require_new(const fs::path& directory, const std::vector<exporter::SourceFile>& files,
                 const Common& common) {
  if (common.overwrite) return;
  for (const exporter::SourceFile& file : files) {
    const fs::path path = directory / file.path;
    std::error_code ignored;
    if (!fs::exists(path, ignored) || read_file(path) == file.text) continue;
    fail(path.string(), "exists; --overwrite replaces it, or choose another directory");
  }
}

exporter::ExportOptions export_options(const Common& common) {
  exporter::ExportOptions options;
  FieldList list;
  fields(list, options);
  read_settings(common, list);
  validate(options);
  const bool c = options.format == exporter::ExportFormat::kC;
  refuse_idle(common, [&](const std::string& key) {
    return key == "export.unit" && !c ? "export.format = npz has no sensor" : "";
  });
  return options;
}

int export_command(const Common& common, const std::string& model) {
  const exporter::ExportOptions options = export_options(common);
  if (common.out.empty()) fail("--out", "is missing, expected the directory of the export");
  require_writable_file(common.json);
  const inference::Model loaded = inference::Model::load(model);
  const cost::MemorySummary memory = cost::count_memory(exporter::exported_network(loaded));
  nlohmann::json result = {{"model", model},
                           {"format", name_of(options.format)},
                           {"name", exporter::prefix_of(loaded, options)},
                           {"memory", cost::to_json(memory)}};
  std::vector<exporter::SourceFile> files;
  std::string summary;
  if (options.format == exporter::ExportFormat::kC) {
    exporter::CProject project = exporter::c_project(loaded, options);
    files = std::move(project.files);
    result["constants"] = project.network.table_bytes;
    result["state"] = project.network.state_bytes;
    result["stack_arrays"] = project.network.scratch_bytes;
    summary = "C, " + bytes_text(project.network.table_bytes) + " of constants, " +
              bytes_text(project.network.state_bytes) + " of state";
    if (!project.note.empty()) say_note(project.note);
  } else {
    files = {exporter::npz_file(loaded, options)};
    summary = "NPZ, " + bytes_text(files[0].text.size());
  }
  const fs::path directory = common.out;
  make_writable_directory(directory);
  require_new(directory, files, common);
  for (const exporter::SourceFile& file : files) {
    result["files"].push_back(file.path);
    make_writable_directory((directory / file.path).parent_path());
    write_file(directory / file.path, file.text);
  }
  write_json(common, with_format(result, "export"));
  if (!common.quiet && common.json != "-") {
    std::printf("%s: %s\n", directory.c_str(), summary.c_str());
  }
  return kOk;
}

}  // namespace

void add_export_settings(FieldList& list) {
  static exporter::ExportOptions options;
  fields(list, options);
}

void add_export(Command root) {
  Command command = root.add_command(
      "export", "Write the integer network of a model as C99 for microcontrollers, or as arrays");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A quantized model").required();
  exporter::ExportOptions defaults;
  FieldList list;
  fields(list, defaults);
  add_common(command, *common,
             {.data = false,
              .no_resume = kNothingContinues,
              .out = "Directory of the exported files",
              .no_seed = kNothingDrawn,
              .no_threads = "one thread is enough"},
             list);
  add_short_forms(command, *common, list);
  command.action([=] { return export_command(*common, *model); });
}

}  // namespace crosstate::cli
