#include "crosstate/circuit/netlist.h"

#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/circuit/circuit.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::circuit {
namespace {

// Simulators replace a resistance of 0 by a non-zero one, so lines without resistance are written
// as single nodes.
class NetlistWriter {
 public:
  NetlistWriter(std::size_t rows, std::size_t columns, const WireOptions& wires, const CellLaw& law)
      : rows_(rows), columns_(columns), wires_(wires), law_(law) {}

  void sources(std::span<const double> voltages) {
    for (std::size_t i = 0; i < rows_; ++i) {
      line("Vin" + text(i) + ' ' + input(i) + " 0 DC " + exact_text(voltages[i]));
    }
    for (std::size_t j = 0; j < columns_; ++j) {
      line("Vout" + text(j) + ' ' + output(j) + " 0 DC 0");
    }
  }

  void word_line(std::size_t i) {
    const double end = wires_.driver + wires_.segment;
    if (end > 0) resistor("w" + text(i) + "_0", input(i), word(i, 0), end);
    for (std::size_t j = 1; wires_.segment > 0 && j < columns_; ++j) {
      resistor("w" + text(i) + '_' + text(j), word(i, j - 1), word(i, j), wires_.segment);
    }
  }

  void bit_line(std::size_t j) {
    for (std::size_t i = 0; wires_.segment > 0 && i + 1 < rows_; ++i) {
      resistor("b" + text(i) + '_' + text(j), bit(i, j), bit(i + 1, j), wires_.segment);
    }
    const double end = wires_.sense + wires_.segment;
    if (end > 0) resistor("b" + text(rows_ - 1) + '_' + text(j), bit(rows_ - 1, j), output(j), end);
  }

  void cell(std::size_t i, std::size_t j, double siemens) {
    const std::string name = text(i) + '_' + text(j);
    if (siemens == 0 && law_.nl2 == 0 && law_.nl3 == 0) return;  // no current
    const std::string end = law_.has_selector() ? "m" + name : bit(i, j);
    if (law_.nl2 == 0 && law_.nl3 == 0) {
      resistor("c" + name, word(i, j), end, 1 / siemens);
    } else {
      // Horner form: ngspice uses the magnitude of the base of a power.
      const std::string v = "V(" + word(i, j) + ',' + end + ')';
      source("c" + name, word(i, j), end,
             v + "*(" + exact_text(siemens) + '+' + v + "*(" + exact_text(law_.nl2) + '+' + v +
                 "*(" + exact_text(law_.nl3) + ")))");
    }
    if (law_.has_selector()) {
      source("s" + name, end, bit(i, j),
             exact_text(law_.selector_current) + "*sinh(V(" + end + ',' + bit(i, j) + ")/" +
                 exact_text(law_.selector_voltage) + ')');
    }
  }

  /// Tolerances far below the defaults of one part in a thousand.
  void analysis() {
    line(".options reltol=1e-9 abstol=1e-18 vntol=1e-13 itl1=1000");
    line(".control");
    line("set numdgt=15");
    line("op");
    for (std::size_t j = 0; j < columns_; ++j) line("print i(vout" + text(j) + ')');
    line("quit 0");  // otherwise a run without plots counts as failed
    line(".endc");
    line(".end");
  }

  void line(const std::string& content) { netlist_ += content + '\n'; }
  std::string take() { return std::move(netlist_); }

 private:
  static std::string text(std::size_t number) { return std::to_string(number); }
  static std::string input(std::size_t i) { return "in" + text(i); }
  static std::string output(std::size_t j) { return "out" + text(j); }

  std::string word(std::size_t i, std::size_t j) const {
    if (wires_.segment > 0) return "w" + text(i) + '_' + text(j);
    return wires_.driver > 0 ? "w" + text(i) : input(i);
  }
  std::string bit(std::size_t i, std::size_t j) const {
    if (wires_.segment > 0) return "b" + text(i) + '_' + text(j);
    return wires_.sense > 0 ? "b" + text(j) : output(j);
  }

  void resistor(const std::string& name, const std::string& from, const std::string& to,
                double ohm) {
    line("R" + name + ' ' + from + ' ' + to + ' ' + exact_text(ohm));
  }
  void source(const std::string& name, const std::string& from, const std::string& to,
              const std::string& current) {
    line("B" + name + ' ' + from + ' ' + to + " I=" + current);
  }

  std::size_t rows_, columns_;
  const WireOptions& wires_;
  const CellLaw& law_;
  std::string netlist_;
};

}  // namespace

std::string format_netlist(std::span<const double> siemens, std::size_t rows, std::size_t columns,
                           std::span<const double> voltages, const WireOptions& wires,
                           const CellLaw& law) {
  require_array(siemens, rows, columns);
  require_voltages(voltages, rows);
  validate(wires);
  validate(law);
  NetlistWriter writer(rows, columns, wires, law);
  writer.line("* crossbar array of " + std::to_string(rows) + " rows and " +
              std::to_string(columns) + " columns");
  writer.sources(voltages);
  for (std::size_t i = 0; i < rows; ++i) writer.word_line(i);
  for (std::size_t j = 0; j < columns; ++j) writer.bit_line(j);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) writer.cell(i, j, siemens[i * columns + j]);
  }
  writer.analysis();
  return writer.take();
}

void write_netlist(const std::filesystem::path& path, std::span<const double> siemens,
                   std::size_t rows, std::size_t columns, std::span<const double> voltages,
                   const WireOptions& wires, const CellLaw& law) {
  write_file(path, format_netlist(siemens, rows, columns, voltages, wires, law));
}

}  // namespace crosstate::circuit
