// Writes an array as a netlist for circuit simulators of the SPICE family.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "crosstate/circuit/wires.h"

namespace crosstate::circuit {

/// A netlist for ngspice -b, which solves its operating point and prints i(vout0), i(vout1), ...:
/// the currents of the columns in amperes, each into its own 0 V source at ground. Nodes: in<row>
/// the sources, w<row>_<column> and b<row>_<column> the word and bit line at a cell (w<row>,
/// b<column> for lines without resistance), out<column> the ground ends. Arguments and errors as
/// for operating_point().
std::string format_netlist(std::span<const double> siemens, std::size_t rows, std::size_t columns,
                           std::span<const double> voltages, const WireOptions& wires,
                           const CellLaw& law);

/// The same as a file; throws Error naming the path.
void write_netlist(const std::filesystem::path& path, std::span<const double> siemens,
                   std::size_t rows, std::size_t columns, std::span<const double> voltages,
                   const WireOptions& wires, const CellLaw& law);

}  // namespace crosstate::circuit
