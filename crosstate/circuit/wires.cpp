#include "crosstate/circuit/wires.h"

#include <cmath>
#include <string>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/circuit/circuit.h"
#include "crosstate/circuit/condensation.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::circuit {
namespace {

constexpr double kLeastOhm = 1e-9, kMostOhm = 1e12;

void require_ohm(const char* key, double ohm) {
  if (ohm == 0 || (ohm >= kLeastOhm && ohm <= kMostOhm)) return;
  fail("options", "wires." + std::string(key) + " = " + exact_text(ohm) +
                      ", expected 0 or a resistance from 1e-09 to 1e+12 ohm");
}

// Finite cells and voltages can still overflow. `values`: one per column.
std::vector<double> require_finite(std::vector<double> values, std::size_t columns,
                                   const std::string& what, const std::string& expected) {
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isfinite(values[k])) continue;
    fail("array", what + " of column " + std::to_string(k % columns + 1) +
                      " is too large for binary64, expected lower " + expected);
  }
  return values;
}

std::vector<double> without_check(std::span<const double> siemens, std::size_t rows,
                                  std::size_t columns, const WireOptions& wires) {
  if (wires.segment > 0) return condense_array(siemens, rows, columns, wires);
  if (wires.driver > 0 || wires.sense > 0) return condense_lines(siemens, rows, columns, wires);
  return {siemens.begin(), siemens.end()};
}

}  // namespace

void fields(FieldList& list, WireOptions& options) {
  list.section("wires");
  list.add("segment", options.segment,
           "Wire resistance between adjacent cells, along rows and columns; 0: ideal.")
      .in("ohm")
      .range(0, kMostOhm);
  list.add("driver", options.driver,
           "Resistance between the source of each row and its first segment.")
      .in("ohm")
      .range(0, kMostOhm);
  list.add("sense", options.sense, "Resistance between the last segment of each column and ground.")
      .in("ohm")
      .range(0, kMostOhm);
}

void validate(const WireOptions& options) {
  require_ohm("segment", options.segment);
  require_ohm("driver", options.driver);
  require_ohm("sense", options.sense);
}

void require_array(std::span<const double> siemens, std::size_t rows, std::size_t columns) {
  if (rows == 0 || columns == 0 || siemens.size() / rows != columns || siemens.size() % rows != 0) {
    fail("array", std::to_string(siemens.size()) + " conductances for " + std::to_string(rows) +
                      " x " + std::to_string(columns) + " cells, expected one for each");
  }
  for (std::size_t k = 0; k < siemens.size(); ++k) {
    if (siemens[k] >= 0 && std::isfinite(siemens[k])) continue;
    fail("array", "row " + std::to_string(k / columns + 1) + ", column " +
                      std::to_string(k % columns + 1) + ": " + exact_text(siemens[k]) +
                      " S, expected a finite conductance of 0 or more");
  }
}

void require_voltages(std::span<const double> voltages, std::size_t rows) {
  if (voltages.size() != rows) {
    fail("array", std::to_string(voltages.size()) + " voltages, expected one for each of " +
                      std::to_string(rows) + " rows");
  }
  for (std::size_t i = 0; i < rows; ++i) {
    if (std::isfinite(voltages[i])) continue;
    fail("array", "the voltage of row " + std::to_string(i + 1) + " is not finite");
  }
}

std::vector<double> effective_conductance(std::span<const double> siemens, std::size_t rows,
                                          std::size_t columns, const WireOptions& wires) {
  require_array(siemens, rows, columns);
  validate(wires);
  return require_finite(without_check(siemens, rows, columns, wires), columns,
                        "an effective conductance", "conductances");
}

std::vector<double> column_currents(std::span<const double> siemens, std::size_t rows,
                                    std::size_t columns, std::span<const double> voltages,
                                    const WireOptions& wires, const CellLaw& law) {
  validate(law);
  const auto checked = [&](std::vector<double> currents) {
    return require_finite(std::move(currents), columns, "the current", "conductances or voltages");
  };
  if (!law.is_linear()) {
    return checked(operating_point(siemens, rows, columns, voltages, wires, law).currents);
  }
  require_voltages(voltages, rows);
  const std::vector<double> effective = effective_conductance(siemens, rows, columns, wires);
  std::vector<double> currents(columns, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      currents[j] += effective[i * columns + j] * voltages[i];
    }
  }
  return checked(std::move(currents));
}

}  // namespace crosstate::circuit
