// crosstate/base: errors, settings, version.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/shipped.h"
#include "crosstate/base/version.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

std::string settings() {
  pipeline::RunOptions options;
  nlohmann::json list = nlohmann::json::array();
  const FieldList fields = options.fields();
  for (const Field& field : fields.all()) {
    nlohmann::json one = {{"key", field.key},
                          {"default", field.current()},
                          {"help", field.help},
                          {"unit", field.unit},
                          {"allowed", field.allowed()}};
    list.push_back(std::move(one));
  }
  return json_text(list);
}

}  // namespace

void bind_base(nb::module_& m) {
  nb::exception<Error>(m, "Error", PyExc_ValueError);
  m.attr("version") = nb::str(kVersion.data(), kVersion.size());
  m.def("settings", &settings, "All settings of a run, as JSON.");
  m.def(
      "check_settings",
      [](const Settings& settings, const std::vector<std::string>& used, const std::string& user) {
        run_options(settings, used, user);
      },
      "settings"_a, "used"_a, "user"_a);
  m.def(
      "search_shipped_in", [](const std::string& path) { search_shipped_in(path); }, "directory"_a,
      "Names the directory of the data files of the package.");
}

}  // namespace crosstate::python
