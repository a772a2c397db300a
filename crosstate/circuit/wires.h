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
  double segment = 0;  // between adjacent cells, in both directions, and at the driven ends
  double driver = 0;   // between the source of each row and its first segment
  double sense = 0;    // between the last segment of each column and ground

  bool ideal() const { return segment == 0 && driver == 0 && sense == 0; }
};

/// Binds the fields of section "wires".
void fields(FieldList& list, WireOptions& options);
/// Throws Error for a value out of range: each is 0 or from 1e-9 to 1e12 ohm.
void validate(const WireOptions& options);

/// The linear array as one matrix E, [rows][columns] in siemens: for any row voltages v the column
/// currents are I[j] = sum_i E[i][j] v[i]. siemens: [rows][columns], the cells, each finite and
/// non-negative. Every entry is computed without subtraction and so has a relative error near 1e-13
/// however much the resistances of wires and cells differ. Throws Error for wrong sizes and values.
std::vector<double> effective_conductance(std::span<const double> siemens, std::size_t rows,
                                          std::size_t columns, const WireOptions& wires);

/// Voltages and currents of an array at its operating point.
struct OperatingPoint {
  std::vector<double> word, bit;  // [rows][columns] volts at both ends of each cell
  std::vector<double> currents;   // [columns] amperes into ground
  int iterations = 0;             // Newton steps
};

/// Solves the nodal equations of an array of cells with law `law`; voltages: [rows] volts of the
/// sources. Newton's method; each step is a sparse Cholesky solve. Throws Error for wrong sizes and
/// values, and if it does not converge: with a law that is not increasing there can be no or
/// several operating points.
OperatingPoint operating_point(std::span<const double> siemens, std::size_t rows,
                               std::size_t columns, std::span<const double> voltages,
                               const WireOptions& wires, const CellLaw& law);

/// The column currents of the same array, [columns] amperes; for linear cells by
/// effective_conductance().
std::vector<double> column_currents(std::span<const double> siemens, std::size_t rows,
                                    std::size_t columns, std::span<const double> voltages,
                                    const WireOptions& wires, const CellLaw& law = {});

}  // namespace crosstate::circuit
