// Interface to the arrays of a real chip, which is controlled by a driver.
#pragma once

#include <cstddef>
#include <span>

namespace crosstate::hardware {

/// The bit lines of an array that are read: `count` starting at `first`.
struct BitLines {
  std::size_t first = 0, count = 0;
};

/// Arrays of cells that are driven with voltages and return currents. All arrays of a chip have the
/// same numbers of rows and bit lines; a signed pair has two bit lines, plus before minus. Drivers,
/// converters, compensation and digital parts are not part of the backend (see ProgrammedArray).
///
/// multiply() may be called by several threads at once, the other functions may not. Each throws
/// Error if the chip fails a request; after that, every further request throws as well.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Programs all cells of an array. conductances: [rows][bit lines] in siemens, non-negative.
  virtual void program(std::size_t array, std::span<const double> conductances) = 0;
  /// Advances all arrays to `seconds` since programming, not before their present age.
  virtual void age_to(double seconds) = 0;
  /// Drives `count` vectors one after the other and reads the currents of some bit lines into
  /// ground. voltages: [count][rows] in volts of either sign, 0 for a grounded row. currents:
  /// [count][lines.count] in amperes, positive for positive voltages; all are finite.
  virtual void multiply(std::size_t array, BitLines lines, std::size_t count,
                        std::span<const double> voltages, std::span<double> currents) = 0;
};

}  // namespace crosstate::hardware
