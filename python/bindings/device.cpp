// crosstate/device: cells that are programmed, age and are read.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/device/cells.h"
#include "crosstate/device/models.h"
#include "crosstate/device/table.h"
#include "crosstate/pipeline/idle.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

using device::Cells;
using nlohmann::json;

device::DeviceOptions device_options(const Settings& settings) {
  const pipeline::RunOptions options = run_options(settings, {"device."}, "crosstate.Device");
  refuse_idle(settings, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_on_target(options.target));
  });
  return options.target.device;
}

Out<double> to_numpy_copy(std::span<const double> values) {
  return to_numpy(std::vector<double>(values.begin(), values.end()), {values.size()});
}

// Conductances of one read of every cell.
Out<double> read(const Cells& cells, std::uint64_t seed, std::uint32_t array,
                 std::uint32_t number) {
  std::vector<double> read(cells.conductance().begin(), cells.conductance().end());
  Random random(seed, Stream::kRead, array, number);
  for (std::size_t i = 0; i < read.size(); ++i)
    read[i] += cells.read_deviation()[i] * random.normal();
  const std::size_t count = read.size();
  return to_numpy(std::move(read), {count});
}

std::string programming(const Cells& cells) {
  const device::ProgrammingSummary& p = cells.programming();
  return json_text({{"cells", p.cells},
                    {"within_tolerance", p.within},
                    {"yield", p.yield()},
                    {"pulses", p.pulses},
                    {"reads", p.reads},
                    {"most_pulses", p.most_pulses},
                    {"stuck_low", p.stuck_low},
                    {"stuck_high", p.stuck_high},
                    {"open", p.open},
                    {"energy_pj", p.energy}});
}

std::string models() {
  json list = json::array();
  for (const device::NamedModel& model : device::kDeviceModels) {
    json one = {{"name", model.name}, {"source", model.paper}, {"times", model.times}};
    device::DeviceOptions options;
    options.model = model.name;
    if (options.model != "table") {
      const device::ConductanceRange range = device::conductance_range(options);
      one["g_min"] = range.low;
      one["g_max"] = range.high;
    }
    list.push_back(std::move(one));
  }
  return json_text(list);
}

}  // namespace

void bind_device(nb::module_& m) {
  m.def("device_models", &models);
  m.def(
      "device_range",
      [](const Settings& settings) {
        const device::ConductanceRange range = device::conductance_range(device_options(settings));
        return std::pair(range.low, range.high);
      },
      "settings"_a);
  m.def(
      "check_device_table",
      [](const std::string& text, const std::string& where) {
        device::DeviceTable::parse(text, where);
      },
      "text"_a, "where"_a);
  nb::class_<Cells>(m, "Cells")
      .def(
          "__init__",
          [](Cells* self, const Settings& settings, const In<double>& targets, std::uint64_t seed,
             std::uint32_t array, const std::optional<In<std::uint8_t>>& faults) {
            const device::DeviceOptions options = device_options(settings);
            const std::span<const std::uint8_t> map =
                faults ? values_of(*faults) : std::span<const std::uint8_t>();
            const nb::gil_scoped_release release;
            new (self) Cells(options, values_of(targets), seed, array, map);
          },
          "settings"_a, "targets"_a, "seed"_a, "array"_a, "faults"_a.none())
      .def("age_to", &Cells::age_to, "seconds"_a, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("time", &Cells::time)
      .def_prop_ro(
          "conductance", [](const Cells& self) { return to_numpy_copy(self.conductance()); },
          nb::rv_policy::move)
      .def_prop_ro(
          "read_deviation", [](const Cells& self) { return to_numpy_copy(self.read_deviation()); },
          nb::rv_policy::move)
      .def_prop_ro(
          "inference_deviation",
          [](const Cells& self) { return to_numpy_copy(self.inference_deviation()); },
          nb::rv_policy::move)
      .def_prop_ro(
          "faults",
          [](const Cells& self) {
            return to_numpy(std::vector<std::uint8_t>(self.faults().begin(), self.faults().end()),
                            {self.faults().size()});
          },
          nb::rv_policy::move)
      .def("read", &read, "seed"_a, "array"_a, "number"_a)
      .def("programming", &programming);
}

}  // namespace crosstate::python
