// The size of a crossbar array and the resolution of its converters.
#pragma once

#include <string>

#include "crosstate/base/options.h"

namespace crosstate {

struct CrossbarOptions {
  int rows = 64;     // of signed pairs: word lines
  int columns = 64;  // of signed pairs: two bit lines each
  int dac_bits = 8;
  int adc_bits = 8;
  std::string recurrence = "increment";  // increment | direct
};

/// Binds the fields of section "crossbar".
void fields(FieldList& list, CrossbarOptions& options);
/// Throws Error for a value out of its range.
void validate(const CrossbarOptions& options);

}  // namespace crosstate
