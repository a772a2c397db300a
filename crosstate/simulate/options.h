// How many chips a simulation draws.
#pragma once

#include "crosstate/base/options.h"

namespace crosstate {

struct SimulateOptions {
  int chips = 5;
};

/// Binds the fields of section "simulate".
void fields(FieldList& list, SimulateOptions& options);
/// Throws Error for a value out of its range.
void validate(const SimulateOptions& options);

}  // namespace crosstate
