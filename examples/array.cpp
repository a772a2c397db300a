// Column currents of one crossbar array, with ideal and with resistive wires.
//
// The library provides the matrix that is equivalent to a linear array with wires, the currents of
// non-linear cells, and a netlist for verification with any circuit simulator.
#include <crosstate/circuit/netlist.h>
#include <crosstate/circuit/wires.h>

#include <cstdio>
#include <vector>

int main() {
  using namespace crosstate;
  constexpr std::size_t rows = 3, columns = 2;
  const std::vector<double> siemens = {100e-6, 20e-6,  //
                                       50e-6,  80e-6,  //
                                       0,      10e-6};
  const std::vector<double> volts = {0.2, -0.1, 0.3};
  const circuit::WireOptions wires{.segment = 2, .driver = 100, .sense = 50};

  // Computed once per programmed array; every product then costs as much as an ideal one.
  const std::vector<double> effective =
      circuit::effective_conductance(siemens, rows, columns, wires);
  const std::vector<double> ideal = circuit::column_currents(siemens, rows, columns, volts, {});
  const circuit::CellLaw cubic{.nl3 = 1e-4};
  const std::vector<double> curved =
      circuit::column_currents(siemens, rows, columns, volts, wires, cubic);

  std::printf("column  ideal (A)  with wires (A)  cubic cells (A)\n");
  for (std::size_t j = 0; j < columns; ++j) {
    double current = 0;
    for (std::size_t i = 0; i < rows; ++i) current += effective[i * columns + j] * volts[i];
    std::printf("%6zu  %9.3e  %14.3e  %15.3e\n", j, ideal[j], current, curved[j]);
  }
  std::printf("\n%s", circuit::format_netlist(siemens, rows, columns, volts, wires, cubic).c_str());
}
