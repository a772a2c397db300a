// Random draws of one cell, each a function of its address only.
#pragma once

#include <cstdint>

#include "crosstate/device/cell.h"

namespace crosstate::device {

/// End of the time axis of the Brownian motions below.
inline constexpr double kPathEnd = 64;

/// The random draws of one cell. Draws are standard normal unless stated otherwise; the same call
/// always returns the same number.
class CellDraws {
 public:
  explicit CellDraws(const CellAddress& address) : at_(address) {}

  double programming() const;
  double drift() const;
  /// Deviates of write-verify: the step of pulse k, and the read before it.
  double pulse(std::uint32_t k) const;
  double verify(std::uint32_t k) const;
  /// Uniform in (0, 1): the fault, if any, and the retention time.
  double fault() const;
  double lifetime() const;

  /// Brownian motions W(u) on [0, kPathEnd]: W(u) is exactly N(0, u) at every u. Levy's
  /// construction down to intervals of 1/64, within which the motion is a single arc.
  double flicker(double u) const;
  double relaxation(double u) const;

 private:
  CellAddress at_;
};

}  // namespace crosstate::device
