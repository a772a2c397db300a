// Options of the connection to a real chip and of its drive voltage.
#pragma once

#include <string>

#include "crosstate/base/options.h"

namespace crosstate::hardware {

struct ExternalOptions {
  std::string command;   // for /bin/sh -c; "": the cells are simulated
  double timeout = 60;   // per reply, in seconds
  double voltage = 0.2;  // voltage of the largest code, in volts

  bool used() const { return !command.empty(); }
};

/// Binds the fields of section "external".
void fields(FieldList& list, ExternalOptions& options);
/// Throws Error for a value out of range.
void validate(const ExternalOptions& options);

}  // namespace crosstate::hardware
