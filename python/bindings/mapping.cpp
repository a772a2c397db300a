// crosstate/mapping: which weight is on which array.
#include "crosstate/mapping/mapping.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/pipeline/chips_report.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/mapping_picture.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

struct MappedNetwork {
  mapping::Mapping mapping;
  crossbar::CrossbarOptions crossbar;

  const mapping::MappedArray& array(std::size_t number) const {
    if (number >= mapping.arrays.size()) throw nb::index_error();
    return mapping.arrays[number];
  }
};

}  // namespace

void bind_mapping(nb::module_& m) {
  nb::class_<MappedNetwork>(m, "Mapping")
      .def(
          "__init__",
          [](MappedNetwork* self, const inference::Model& model, std::size_t length,
             const Settings& settings, const std::string& target) {
            const pipeline::RunOptions options =
                run_options(settings, pipeline::target_settings(), "crosstate.Mapping", target);
            const integer::IntegerNetwork network = model.integers();
            integer::require_length(network, length, model.name(), "length");
            new (self) MappedNetwork{mapping::map_network(network, options.target.crossbar, length),
                                     options.target.crossbar};
          },
          "model"_a, "length"_a, "settings"_a, "target"_a)
      .def("json",
           [](const MappedNetwork& self) { return json_text(pipeline::to_json(self.mapping)); })
      .def("svg",
           [](const MappedNetwork& self) {
             return pipeline::mapping_svg(self.mapping, self.crossbar);
           })
      .def("__len__", [](const MappedNetwork& self) { return self.mapping.arrays.size(); })
      .def(
          "weights",
          [](const MappedNetwork& self, std::size_t number) {
            const mapping::MappedArray& array = self.array(number);
            return to_numpy(array.weights, {array.rows, array.columns});
          },
          "number"_a)
      .def(
          "drive",
          [](const MappedNetwork& self, std::size_t number) {
            const mapping::MappedArray& array = self.array(number);
            std::vector<float> levels = array.drive;
            if (levels.empty()) levels.assign(array.rows * array.columns, 1);
            return to_numpy(std::move(levels), {array.rows, array.columns});
          },
          "number"_a);
}

}  // namespace crosstate::python
