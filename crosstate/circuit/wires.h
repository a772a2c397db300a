// Wire resistance of one crossbar array by exact nodal analysis. See docs/crossbar.md for the
// circuit, its conventions and the cost of the solvers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/circuit/cell_law.h"

namespace crosstate::circuit {

/// Resistances of the wires in ohm; 0 is an ideal conductor.
struct WireOptions {
  double segment = 0;  // between neighbouring cells, in both directions, and at the driven ends
  double driver = 0;   // between each row's source and its first segment
  double sense = 0;    // between each column's last segment and ground

  bool ideal() const { return segment == 0 && driver == 0 && sense == 0; }
};

/// Binds the fields of section "wires".
void fields(FieldList& list, WireOptions& options);
/// Throws Error for a value out of its range: each is 0 or from 1e-9 to 1e12 ohm.
void validate(const WireOptions& options);

/// The linear array as one matrix E, [rows][columns] in siemens: the column currents of any row
/// voltages v are I[j] = sum_i E[i][j] v[i]. siemens: [rows][columns], the cells, each 0 or
/// positive and finite. Every entry is computed without a subtraction, and so keeps a relative
/// error near 1e-13 however far wires and cells lie apart. Throws Error for bad sizes and values.
std::vector<double> effective_conductance(std::span<const double> siemens, std::size_t rows,
                                          std::size_t columns, const WireOptions& wires);

/// Voltages and currents of an array at rest.
struct OperatingPoint {
  std::vector<double> word, bit;  // [rows][columns] volts at both ends of each cell
  std::vector<double> currents;   // [columns] amperes into ground
  int iterations = 0;             // Newton steps
};

/// Solves the nodal equations of an array of cells with law `law`; voltages: [rows] volts of the
/// sources. Newton's method, each step a sparse Cholesky solution. Throws Error for bad sizes and
/// values, and where it does not converge: a law that is not increasing can have no or several
/// operating points.
OperatingPoint operating_point(std::span<const double> siemens, std::size_t rows,
                               std::size_t columns, std::span<const double> voltages,
                               const WireOptions& wires, const CellLaw& law);

/// The column currents of the same array, [columns] amperes; linear cells by
/// effective_conductance().
std::vector<double> column_currents(std::span<const double> siemens, std::size_t rows,
                                    std::size_t columns, std::span<const double> voltages,
                                    const WireOptions& wires, const CellLaw& law = {});

}  // namespace crosstate::circuit
