// crosstate export MODEL: the integer network as C for microcontrollers, or as arrays.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/exporter/write.h"
#include "crosstate/inference/model.h"

namespace crosstate::cli {
namespace {

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
  std::string note;
  const nlohmann::json result = exporter::write_export(inference::Model::load(model), options,
                                                       common.out, common.overwrite, note);
  if (!note.empty()) say_note(note);
  write_json(common, with_format(result, "export"));
  if (common.quiet || common.json == "-") return kOk;
  const auto bytes = [&](const char* key) { return bytes_text(result[key].get<std::size_t>()); };
  const std::filesystem::path directory = common.out;
  const std::string summary =
      options.format == exporter::ExportFormat::kC
          ? "C, " + bytes("constants") + " of constants, " + bytes("state") + " of state"
          : "NPZ, " + bytes_text(std::filesystem::file_size(directory /
                                                            result["files"][0].get<std::string>()));
  std::printf("%s: %s\n", directory.c_str(), summary.c_str());
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
