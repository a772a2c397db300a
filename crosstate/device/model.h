// The interface of device models.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "crosstate/device/options.h"

namespace crosstate::device {

/// The longest time (s) for which any model is defined: 30,000 years.
inline constexpr double kLongestTime = 1e12;

/// Cells to be aged: cell i has the draws of (seed, array, i).
struct CellBlock {
  std::span<const double> target;
  std::span<const double>
      programmed;  // conductances after DeviceModel::programmed() or write-verify
  std::uint64_t seed;
  std::uint32_t array;
};

class CellDraws;

/// A published model of cells. Conductances are those of the publication (uS); Cells scales them if
/// another g_max is requested. Models have no state: the history of a cell is determined by its
/// draws.
class DeviceModel {
 public:
  virtual ~DeviceModel() = default;

  /// The range of target conductances in the publication.
  virtual ConductanceRange range() const = 0;

  /// The conductance after programming as published, before clipping at 0.
  virtual double programmed(double target, const CellDraws& draws) const = 0;

  /// Writes the conductances at `seconds` > 0 after programming, non-negative, without the part of
  /// 1/f noise that flicker() gives.
  virtual void age(const CellBlock& cells, double seconds, std::span<double> g) const = 0;

  /// Writes, for the same time, the standard deviation of the 1/f noise that is faster than an
  /// inference (options.inference_time): it is constant within one and independent between two.
  virtual void flicker(const CellBlock& cells, double seconds, std::span<double> deviation) const;

  /// Standard deviation between reads; reads are independent.
  virtual double read_deviation(double) const { return 0; }

  /// When the source first read its cells (s); 0: the programmed state itself is what it read.
  virtual double first_read() const { return 0; }

  /// First and last time at which age() is defined (s).
  virtual double first_time() const { return 0; }
  virtual double last_time() const { return kLongestTime; }

  /// The CSV text from which the model was created; "" for other models.
  virtual const std::string& source() const;
};

/// The range of target conductances of `model` with these options, see options.h.
ConductanceRange conductance_range(const DeviceOptions& options, const DeviceModel& model);

/// Throws Error, giving the defined times, unless the model is defined at `seconds`: 0 or
/// first_time() to last_time().
void require_defined(const DeviceModel& model, const std::string& name, double seconds);

}  // namespace crosstate::device
