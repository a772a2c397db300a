// From a mapped array to the one that is programmed: its codes, slices and converters.
#pragma once

#include <cstddef>

#include "crosstate/crossbar/array.h"
#include "crosstate/integer/network.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate {

/// What array `number` of a mapping holds and how it is used; the mapping must outlive it.
ArrayPlan array_plan(const IntegerNetwork& network, const Mapping& mapping,
                     const CrossbarOptions& crossbar, std::size_t number);

/// Whether the converters of states may resolve increments more finely than the states' codes.
bool fits_increments(const Mapping& mapping, const CrossbarOptions& crossbar);

/// Of both parts of a state.
CodeFormat state_format(const IntegerNetwork& network);

}  // namespace crosstate
