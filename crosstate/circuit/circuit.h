// Nodes and wires of an array for the nodal equations, and checks of arguments.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/circuit/wires.h"

namespace crosstate::circuit {

/// Numbering of nodes: first the `free` ones whose voltages are unknown, then the sources of the
/// rows, then ground.
struct ArrayCircuit {
  struct Wire {
    std::size_t from, to;
    double siemens;
  };

  std::size_t rows = 0, columns = 0, free = 0;
  std::vector<Wire> wires;
  std::vector<std::size_t> word, bit;  // [rows][columns] nodes at both ends of each cell

  std::size_t source(std::size_t row) const { return free + row; }
  std::size_t ground() const { return free + rows; }
  std::size_t nodes() const { return free + rows + 1; }
};

/// A line without resistance is a single node.
ArrayCircuit make_circuit(std::size_t rows, std::size_t columns, const WireOptions& wires);

/// Throws Error unless siemens is [rows][columns], at least 1 x 1, with finite non-negative values.
void require_array(std::span<const double> siemens, std::size_t rows, std::size_t columns);
/// Throws Error unless there is one finite voltage per row.
void require_voltages(std::span<const double> voltages, std::size_t rows);

}  // namespace crosstate::circuit
