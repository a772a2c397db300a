// Options of a simulation: number of chips, ages at which they are tested, test sequences.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/base/options.h"

namespace crosstate::simulate {

struct SimulateOptions {
  int chips = 5;
  std::string times = "0";  // ages in seconds, ascending
  int sequences = 0;        // first sequences of the test set; 0: all
  int calibration = 64;     // sequences from which ranges of calibrated converters are chosen
};

/// Binds the fields of section "simulate".
void fields(FieldList& list, SimulateOptions& options);
/// Throws Error for a value out of range and for times that are not ascending.
void validate(const SimulateOptions& options);
/// Parses a time in seconds: a number (base/numbers.h) with an optional unit s, min, h, d or y
/// (365.25 d), such as 3600, 1.5h or 1d. Returns nothing for other text and for negative numbers.
std::optional<double> read_time(std::string_view text);

/// The times in SimulateOptions::times ("1s 1h 1d 1y" and plain numbers) in seconds. Throws Error
/// for text that is not such a list.
std::vector<double> simulated_times(const SimulateOptions& options);

}  // namespace crosstate::simulate
