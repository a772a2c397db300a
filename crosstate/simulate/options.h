// How many chips a simulation draws, and when it looks at them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/base/options.h"

namespace crosstate::simulate {

struct SimulateOptions {
  int chips = 5;
  std::string times = "0";  // seconds since programming, ascending
  int sequences = 0;        // of the test set, the first ones; 0: all
  int calibration = 64;     // sequences that choose the ranges of calibrated converters
};

/// Binds the fields of section "simulate".
void fields(FieldList& list, SimulateOptions& options);
/// Throws Error for a value out of its range and for times that are not ascending.
void validate(const SimulateOptions& options);
/// A time in seconds: a number (base/numbers.h) alone or with the unit s, min, h, d or y (365.25
/// d), as in 3600, 1.5h and 1d; nothing for other text and below 0.
std::optional<double> read_time(std::string_view text);

/// The numbers of SimulateOptions::times, in seconds: "1s 1h 1d 1y" and plain numbers. Throws Error
/// for text that is not such a list.
std::vector<double> simulated_times(const SimulateOptions& options);

}  // namespace crosstate::simulate
