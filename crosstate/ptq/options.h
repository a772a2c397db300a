// Options of a search for the number format of a network that is not trained further.
#pragma once

#include "crosstate/base/options.h"

namespace crosstate::ptq {

struct SearchOptions {
  double loss = 0.3;  // most points of the primary metric that rounding may lose
  int bytes = 0;      // memory of the deployed network; 0: as little as `loss` allows
  int front = 0;      // number of other formats, from the most precise to the smallest
  int sequences =
      768;  // of the held-out ones, for comparing formats; the choice is confirmed on all
  bool operator==(const SearchOptions&) const = default;
};

/// Binds the fields of section "ptq".
void fields(FieldList& list, SearchOptions& options);

}  // namespace crosstate::ptq
