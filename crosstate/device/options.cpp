#include "crosstate/device/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate {

void fields(FieldList& list, DeviceOptions& options) {
  list.section("device");
  list.add("g_min", options.g_min,
           "Lowest conductance of a cell, which idle cells keep; above 0 for cells that leak.")
      .in("uS")
      .range(0, 1e6);
  list.add("g_max", options.g_max, "Highest conductance that a cell is programmed to.")
      .in("uS")
      .range(1e-6, 1e6);
  list.add("programming_noise", options.programming_noise,
           "Relative spread of what a cell holds after programming; 0 for ideal cells.")
      .range(0, 1);
  list.add("read_noise", options.read_noise,
           "Relative spread from one read of a cell to the next; 0 for ideal cells.")
      .range(0, 1);
  list.add("noise_relative_to", options.noise_relative_to,
           "target: noise is proportional to a cell's conductance; gmax: equal for all cells, idle "
           "ones included.")
      .one_of({"target", "gmax"});
}

void validate(const DeviceOptions& options) {
  DeviceOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  if (options.g_min >= options.g_max) {
    fail("options", "device.g_min = " + std::to_string(options.g_min) +
                        ", expected less than device.g_max = " + std::to_string(options.g_max));
  }
}

}  // namespace crosstate
