// Measured cells: mean and standard deviation of the conductance by time and target, from a CSV
// file.
#pragma once

#include <string>
#include <vector>

#include "crosstate/device/options.h"

namespace crosstate::device {

struct Moments {
  double mean = 0, deviation = 0;  // uS
};

/// The rows of one file, sorted by time, then target.
class DeviceTable {
 public:
  /// Parses CSV with the header time,target,mean,sigma (s, uS) and rows in any order. Lines that
  /// begin with # and empty lines are skipped; a line "# crosstate device table N" before the
  /// header gives the version. Every time needs at least two targets, and all times the same lowest
  /// and highest target. Throws Error naming file, line and column.
  static DeviceTable parse(const std::string& text, const std::string& file);
  static DeviceTable read(const std::string& file);

  /// s, ascending.
  const std::vector<double>& times() const { return times_; }
  ConductanceRange range() const { return range_; }
  /// Moments at times()[time], interpolated linearly between the targets of the file.
  Moments at(std::size_t time, double target) const;
  /// The bytes of the file.
  const std::string& text() const { return text_; }

 private:
  struct Row {
    double target, mean, deviation;
  };

  std::vector<double> times_;
  std::vector<std::vector<Row>> rows_;  // by time
  ConductanceRange range_;
  std::string text_;
};

}  // namespace crosstate::device
