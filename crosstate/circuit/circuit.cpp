#include "crosstate/circuit/circuit.h"

namespace crosstate::circuit {
namespace {

void add_segments(ArrayCircuit& circuit, const WireOptions& wires) {
  const std::size_t n = circuit.rows, m = circuit.columns;
  circuit.free = 2 * n * m;
  for (std::size_t k = 0; k < n * m; ++k) {
    circuit.word[k] = k;
    circuit.bit[k] = n * m + k;
  }
  const double segment = 1 / wires.segment;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < m; ++j) {
      const std::size_t k = i * m + j;
      if (j == 0) {
        circuit.wires.push_back(
            {circuit.source(i), circuit.word[k], 1 / (wires.driver + wires.segment)});
      } else {
        circuit.wires.push_back({circuit.word[k - 1], circuit.word[k], segment});
      }
      if (i + 1 == n) {
        circuit.wires.push_back(
            {circuit.bit[k], circuit.ground(), 1 / (wires.segment + wires.sense)});
      } else {
        circuit.wires.push_back({circuit.bit[k], circuit.bit[k + m], segment});
      }
    }
  }
}

void add_whole_lines(ArrayCircuit& circuit, const WireOptions& wires) {
  const std::size_t n = circuit.rows, m = circuit.columns;
  const bool has_driver = wires.driver > 0, has_sense = wires.sense > 0;
  circuit.free = (has_driver ? n : 0) + (has_sense ? m : 0);
  const std::size_t bits = has_driver ? n : 0;
  for (std::size_t i = 0; has_driver && i < n; ++i) {
    circuit.wires.push_back({circuit.source(i), i, 1 / wires.driver});
  }
  for (std::size_t j = 0; has_sense && j < m; ++j) {
    circuit.wires.push_back({bits + j, circuit.ground(), 1 / wires.sense});
  }
  for (std::size_t k = 0; k < n * m; ++k) {
    circuit.word[k] = has_driver ? k / m : circuit.source(k / m);
    circuit.bit[k] = has_sense ? bits + k % m : circuit.ground();
  }
}

}  // namespace

ArrayCircuit make_circuit(std::size_t rows, std::size_t columns, const WireOptions& wires) {
  ArrayCircuit circuit;
  circuit.rows = rows;
  circuit.columns = columns;
  circuit.word.resize(rows * columns);
  circuit.bit.resize(rows * columns);
  if (wires.segment > 0) {
    add_segments(circuit, wires);
  } else {
    add_whole_lines(circuit, wires);
  }
  return circuit;
}

}  // namespace crosstate::circuit
