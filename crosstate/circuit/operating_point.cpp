// Newton's method on the nodal equations of an array with non-linear cells.
#include <algorithm>
#include <cmath>
#include <string>

#include "crosstate/base/eigen.h"
#include "crosstate/base/error.h"
#include "crosstate/circuit/circuit.h"

namespace crosstate::circuit {
namespace {

using Eigen::Index;
using Eigen::VectorXd;
using SparseMatrix = Eigen::SparseMatrix<double>;

class NodalEquations {
 public:
  NodalEquations(std::span<const double> siemens, std::size_t rows, std::size_t columns,
                 std::span<const double> voltages, const WireOptions& wires, const CellLaw& law)
      : circuit_(make_circuit(rows, columns, wires)), siemens_(siemens), law_(law) {
    // Starts from the array with all sources at 0 V, so the first step is the linear response.
    volts_.assign(circuit_.nodes(), 0.0);
    for (std::size_t i = 0; i < rows; ++i) volts_[circuit_.source(i)] = voltages[i];
    scale_ = 0;
    for (const double v : voltages) scale_ = std::max(scale_, std::abs(v));
    slopes_.resize(siemens.size());
  }

  int solve() {
    constexpr int kMostSteps = 200;
    // Far above the rounding errors of the voltages; the remaining error is its square.
    constexpr double kSmallStep = 1e-9;
    VectorXd currents = leaving();
    for (int step = 1; step <= kMostSteps; ++step) {
      const VectorXd change = newton_step(currents);
      if (!change.allFinite()) break;
      const bool done = change.size() == 0 || change.cwiseAbs().maxCoeff() <= kSmallStep * scale_;
      currents = done ? move(change, 1) : search(change, currents);
      if (!currents.allFinite()) break;
      if (done) return step;
    }
    fail("array", "no operating point found in " + std::to_string(kMostSteps) +
                      " steps, expected cells whose current grows with the voltage (cells.nl2, "
                      "cells.nl3)");
  }

  OperatingPoint result(int iterations) const {
    OperatingPoint point;
    point.iterations = iterations;
    point.currents.assign(circuit_.columns, 0.0);
    for (std::size_t k = 0; k < siemens_.size(); ++k) {
      point.word.push_back(volts_[circuit_.word[k]]);
      point.bit.push_back(volts_[circuit_.bit[k]]);
      // The cell currents of a column, accurate even if the voltages along it hardly differ.
      point.currents[k % circuit_.columns] += cell(k).current;
    }
    return point;
  }

 private:
  CellResponse cell(std::size_t k) const {
    return respond(law_, siemens_[k], volts_[circuit_.word[k]] - volts_[circuit_.bit[k]]);
  }

  // The current leaving each free node, 0 at the solution; updates the slopes of the cells.
  VectorXd leaving() {
    std::vector<double> sum(circuit_.nodes(), 0.0);
    for (const ArrayCircuit::Wire& wire : circuit_.wires) {
      const double current = wire.siemens * (volts_[wire.from] - volts_[wire.to]);
      sum[wire.from] += current;
      sum[wire.to] -= current;
    }
    for (std::size_t k = 0; k < siemens_.size(); ++k) {
      const CellResponse response = cell(k);
      slopes_[k] = response.slope;
      sum[circuit_.word[k]] += response.current;
      sum[circuit_.bit[k]] -= response.current;
    }
    return Eigen::Map<const VectorXd>(sum.data(), static_cast<Index>(circuit_.free));
  }

  // Lower triangle of the derivative of leaving(). A cell with negative slope counts as flat, so
  // that the matrix stays positive definite and every step is a descent direction.
  SparseMatrix derivative() const {
    std::vector<Eigen::Triplet<double>> entries;
    entries.reserve(3 * (circuit_.wires.size() + siemens_.size()));
    const auto connect = [&](std::size_t a, std::size_t b, double slope) {
      if (a < circuit_.free) entries.emplace_back(static_cast<int>(a), static_cast<int>(a), slope);
      if (b < circuit_.free) entries.emplace_back(static_cast<int>(b), static_cast<int>(b), slope);
      if (a < circuit_.free && b < circuit_.free) {
        entries.emplace_back(static_cast<int>(std::max(a, b)), static_cast<int>(std::min(a, b)),
                             -slope);
      }
    };
    for (const ArrayCircuit::Wire& wire : circuit_.wires) connect(wire.from, wire.to, wire.siemens);
    for (std::size_t k = 0; k < siemens_.size(); ++k) {
      connect(circuit_.word[k], circuit_.bit[k], std::max(slopes_[k], 0.0));
    }
    const auto free = static_cast<Index>(circuit_.free);
    SparseMatrix matrix(free, free);
    matrix.setFromTriplets(entries.begin(), entries.end());
    return matrix;
  }

  VectorXd newton_step(const VectorXd& currents) {
    if (currents.size() == 0) return currents;
    const SparseMatrix matrix = derivative();
    if (!analysed_) solver_.analyzePattern(matrix);
    analysed_ = true;
    solver_.factorize(matrix);
    if (solver_.info() != Eigen::Success) {
      fail("array",
           "the nodal equations are singular in double precision, expected wires and cells that "
           "differ less");
    }
    return solver_.solve(-currents);
  }

  VectorXd move(const VectorXd& change, double length) {
    for (Index n = 0; n < change.size(); ++n) {
      volts_[static_cast<std::size_t>(n)] += length * change[n];
    }
    return leaving();
  }

  // Line search along `change`, with halved steps, until the slope of the power is not steeply
  // positive: the currents are the gradient of the co-content of the circuit, which is convex for
  // cells with increasing currents.
  VectorXd search(const VectorXd& change, const VectorXd& start) {
    constexpr double kShare = 0.1;
    constexpr int kMostHalvings = 40;
    const double before = start.dot(change);  // negative: downhill
    double length = 1;
    VectorXd currents = move(change, length);
    for (int i = 0; i < kMostHalvings; ++i) {
      const double slope = currents.dot(change);
      if (slope <= -kShare * before) break;  // false for NaN
      currents = move(change, -length / 2);
      length /= 2;
    }
    return currents;
  }

  ArrayCircuit circuit_;
  std::span<const double> siemens_;
  const CellLaw& law_;
  std::vector<double> volts_;   // of all nodes
  std::vector<double> slopes_;  // of the cells
  double scale_ = 0;            // the largest source voltage
  Eigen::SimplicialLDLT<SparseMatrix> solver_;
  bool analysed_ = false;
};

}  // namespace

OperatingPoint operating_point(std::span<const double> siemens, std::size_t rows,
                               std::size_t columns, std::span<const double> voltages,
                               const WireOptions& wires, const CellLaw& law) {
  require_array(siemens, rows, columns);
  require_voltages(voltages, rows);
  validate(wires);
  validate(law);
  NodalEquations equations(siemens, rows, columns, voltages, wires, law);
  const int iterations = equations.solve();
  return equations.result(iterations);
}

}  // namespace crosstate::circuit
