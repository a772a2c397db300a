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
  hardware::ExternalOptions external = {};  // a real chip, which replaces cells and wires
};

/// The same arrays with ideal cells, wires and converters.
Target ideal_target(const Target& target);

/// Binds the fields of sections "device", "crossbar", "wires" and "external".
void fields(FieldList& list, Target& target);
/// Throws Error for a value out of range.
void validate(const Target& target);

/// Names of the targets shipped with the library, in alphabetical order.
std::vector<std::string> target_names();
/// TOML file of a target: `name` itself if it ends in .toml, otherwise the file of a name in
/// target_names(). Throws Error naming the nearest one for an unknown name.
std::string target_file(const std::string& name);
/// Reads that file over `defaults` and validates the result.
Target read_target(const std::string& name, const Target& defaults = {});

}  // namespace crosstate::crossbar
