#include "crosstate/hardware/options.h"

#include <nlohmann/json.hpp>

namespace crosstate::hardware {

void fields(FieldList& list, ExternalOptions& options) {
  list.section("external");
  list.add("command", options.command,
           "Command line of the driver of a real chip, which replaces the simulated cells and "
           "wires in simulate; empty: simulated.");
  list.add("timeout", options.timeout,
           "Time limit of a reply of the driver; raise it for chips that program slowly.")
      .in("s")
      .range(1e-3, 1e6);
  list.add("voltage", options.voltage, "Voltage of a row driven by the largest code.")
      .in("V")
      .range(1e-6, 100);
}

void validate(const ExternalOptions& options) {
  ExternalOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

}  // namespace crosstate::hardware
