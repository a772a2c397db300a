// crosstate/exporter: the integer network as C or as arrays.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/exporter/write.h"
#include "python/bindings/common.h"

namespace crosstate::python {

void bind_exporter(nb::module_& m) {
  m.def(
      "export_model",
      [](const inference::Model& model, const Settings& settings, const std::string& directory,
         bool overwrite) {
        exporter::ExportOptions options;
        FieldList list;
        fields(list, options);
        apply(list, settings, {"export."}, "crosstate.Model.export");
        refuse_idle(settings, [&](const std::string& key) {
          const bool npz = options.format == exporter::ExportFormat::kNpz;
          return key == "export.unit" && npz ? "export.format = npz has no sensor" : "";
        });
        exporter::validate(options);
        std::string note;
        nlohmann::json result = exporter::write_export(model, options, directory, overwrite, note);
        if (!note.empty()) result["note"] = note;
        return json_text(result);
      },
      "model"_a, "settings"_a, "directory"_a, "overwrite"_a,
      nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace crosstate::python
