// Derives the programmed array (codes, slices, converters) from a mapped array.
#pragma once

#include <cstddef>

#include "crosstate/crossbar/array.h"
#include "crosstate/integer/network.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate::simulate {

/// Contents and use of array `number` of a mapping; the mapping must outlive the plan.
crossbar::ArrayPlan array_plan(const integer::IntegerNetwork& network,
                               const mapping::Mapping& mapping,
                               const crossbar::CrossbarOptions& crossbar, std::size_t number);

/// Whether converters of states may resolve increments more finely than the codes of the state.
bool fits_increments(const mapping::Mapping& mapping, const crossbar::CrossbarOptions& crossbar);

/// For both parts of a state.
integer::CodeFormat state_format(const integer::IntegerNetwork& network);

}  // namespace crosstate::simulate
