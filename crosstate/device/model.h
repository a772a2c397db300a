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

/// Cells to age: cell i has the draws of (seed, array, i).
struct CellBlock {
  std::span<const double> target;
  std::span<const double>
      programmed;  // conductances after DeviceModel::programmed() or write-verify
  std::uint64_t seed;
  std::uint32_t array;
};

class CellDraws;

/// A published description of cells. Conductances are those of its paper (uS); Cells converts
/// them where another g_max is asked for. Models hold no state: a cell's history follows from its
/// draws.
class DeviceModel {
 public:
  virtual ~DeviceModel() = default;

  /// The range of target conductances in the paper.
  virtual ConductanceRange range() const = 0;

  /// The conductance after programming as published, before clipping at 0.
  virtual double programmed(double target, const CellDraws& draws) const = 0;

  /// Writes the conductances `seconds` > 0 after programming, none negative.
  virtual void age(const CellBlock& cells, double seconds, std::span<double> g) const = 0;

  /// Standard deviation of one read to the next, independent of each other.
  virtual double read_deviation(double) const { return 0; }

  /// The times at which age() is defined, from first to last (s).
  virtual double first_time() const { return 0; }
  virtual double last_time() const { return kLongestTime; }

  /// The CSV text that the model was made from; "" for others.
  virtual const std::string& source() const;
};

/// The range of target conductances of `model` under these options, see options.h.
ConductanceRange conductance_range(const DeviceOptions& options, const DeviceModel& model);

/// Throws Error, naming the defined times, unless the model is defined at `seconds`: 0 or
/// first_time() to last_time().
void require_defined(const DeviceModel& model, const std::string& name, double seconds);

}  // namespace crosstate::device
