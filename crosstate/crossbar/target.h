// A hardware target: cells, arrays with converters, and wires.
#pragma once

#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/circuit/wires.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/device/options.h"
#include "crosstate/hardware/options.h"

namespace crosstate::crossbar {

struct Target {
  device::DeviceOptions device;
  CrossbarOptions crossbar;
  circuit::WireOptions wires;
  hardware::ExternalOptions external = {};  // a real chip instead of such cells and wires
};

/// The same arrays with cells, wires and converters that add no error.
Target ideal_target(const Target& target);

/// Binds the fields of sections "device", "crossbar", "wires" and "external".
void fields(FieldList& list, Target& target);
/// Throws Error for a value out of its range.
void validate(const Target& target);

/// The names of the targets that come with the library, in alphabetical order.
std::vector<std::string> target_names();
/// The TOML file of a target: `name` itself if it ends in .toml, otherwise that of a name of
/// target_names(). Throws Error naming the nearest one for another name.
std::string target_file(const std::string& name);
/// That file over `defaults`; valid.
Target read_target(const std::string& name, const Target& defaults = {});

}  // namespace crosstate::crossbar
