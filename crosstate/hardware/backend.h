// The interface behind the arrays of a chip that is not simulated: real hardware, through a driver.
#pragma once

#include <cstddef>
#include <span>

namespace crosstate::hardware {

/// Bit lines of an array that are read: `count` from `first` on.
struct BitLines {
  std::size_t first = 0, count = 0;
};

/// Arrays of cells that take voltages and return currents. All arrays of a chip have the same
/// rows and bit lines; a signed pair has two bit lines, the plus line before the minus line.
/// Drivers and converters, compensation and everything digital are not behind it (ProgrammedArray).
///
/// multiply() may be called by several threads at once, the others not. Each throws Error if the
/// chip fails a request; after that, every further request throws, too.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Programs all cells of an array. conductances: [rows][bit lines] in siemens, none negative.
  virtual void program(std::size_t array, std::span<const double> conductances) = 0;
  /// Brings all arrays to `seconds` since programming, not before their present age.
  virtual void age_to(double seconds) = 0;
  /// Drives `count` vectors, one after the other, and reads the currents into ground out of some
  /// bit lines. voltages: [count][rows] in volts of either sign, 0 for a row that rests, grounded.
  /// currents: [count][lines.count] in amperes, positive for positive voltages; all are finite.
  virtual void multiply(std::size_t array, BitLines lines, std::size_t count,
                        std::span<const double> voltages, std::span<double> currents) = 0;
};

}  // namespace crosstate::hardware
