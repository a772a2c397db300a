// How a real chip is connected and driven.
#pragma once

#include <string>

#include "crosstate/base/options.h"

namespace crosstate::hardware {

struct ExternalOptions {
  std::string command;   // of /bin/sh -c; "": the cells are simulated
  double timeout = 60;   // of every reply, in seconds
  double voltage = 0.2;  // that the largest code drives, in volts

  bool used() const { return !command.empty(); }
};

/// Binds the fields of section "external".
void fields(FieldList& list, ExternalOptions& options);
/// Throws Error for a value out of its range.
void validate(const ExternalOptions& options);

}  // namespace crosstate::hardware
