// Static condensation: reduces an array of cells and wires to conductances between its terminals.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/circuit/wires.h"

namespace crosstate::circuit {

/// effective_conductance() for valid arguments and wires.segment > 0.
std::vector<double> condense_array(std::span<const double> siemens, std::size_t rows,
                                   std::size_t columns, const WireOptions& wires);

/// The same for wires.segment = 0: every line is one node, with its driver or its sense resistance.
std::vector<double> condense_lines(std::span<const double> siemens, std::size_t rows,
                                   std::size_t columns, const WireOptions& wires);

}  // namespace crosstate::circuit
