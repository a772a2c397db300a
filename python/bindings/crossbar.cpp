// crosstate/crossbar: targets.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/crossbar/target.h"
#include "python/bindings/common.h"

namespace crosstate::python {

void bind_crossbar(nb::module_& m) {
  m.def("target_names", &crossbar::target_names);
  m.def(
      "target_settings",
      [](const std::string& name) {
        crossbar::Target target = crossbar::read_target(name);
        FieldList list;
        crossbar::fields(list, target);
        return json_text(list.to_json());
      },
      "name"_a);
}

}  // namespace crosstate::python
