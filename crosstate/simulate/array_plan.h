// From a mapped array to the one that is programmed: its codes, slices and converters.
#pragma once

#include <cstddef>

#include "crosstate/crossbar/array.h"
#include "crosstate/integer/network.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate::simulate {

/// What array `number` of a mapping holds and how it is used; the mapping must outlive it.
crossbar::ArrayPlan array_plan(const integer::IntegerNetwork& network,
                               const mapping::Mapping& mapping,
                               const crossbar::CrossbarOptions& crossbar, std::size_t number);

/// Whether the converters of states may resolve increments more finely than the states' codes.
bool fits_increments(const mapping::Mapping& mapping, const crossbar::CrossbarOptions& crossbar);

/// Of both parts of a state.
integer::CodeFormat state_format(const integer::IntegerNetwork& network);

}  // namespace crosstate::simulate
