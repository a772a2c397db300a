#include "crosstate/simulate/options.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

double seconds_of(const std::string& unit) {
  if (unit.empty() || unit == "s") return 1;
  if (unit == "min") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  if (unit == "y") return 365.25 * 86400;
  return 0;
}

// -1 for text that is not a time.
double time_of(const std::string& word) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(word, &used);
  } catch (const std::exception&) {
    return -1;
  }
  const double unit = seconds_of(word.substr(used));
  return std::isfinite(value) && value >= 0 && unit > 0 ? value * unit : -1;
}

}  // namespace

void fields(FieldList& list, SimulateOptions& options) {
  list.section("simulate");
  list.add("chips", options.chips, "Chips to program, each with devices of its own.")
      .range(1, 100000);
  list.add("times", options.times,
           "Ages at which every chip is tested, ascending: seconds, or \"1s 1h 1d 1y\".");
  list.add("sequences", options.sequences,
           "Sequences of the test set that chips are tested with, the first ones; 0 for all.")
      .range(0, 1e9);
  list.add("calibration", options.calibration,
           "Sequences of the test set's end, without their labels, that choose the ranges of "
           "calibrated converters.")
      .range(1, 1e6);
}

std::vector<double> simulated_times(const SimulateOptions& options) {
  std::vector<double> times;
  std::istringstream words(options.times);
  std::string word;
  while (words >> word) {
    const double t = time_of(word);
    if (t < 0 || (!times.empty() && t <= times.back())) {
      fail("options", "simulate.times = \"" + options.times + "\": \"" + word +
                          "\" is not a later time, expected ascending seconds, or 1s 1h 1d 1y");
    }
    times.push_back(t);
  }
  if (times.empty()) fail("options", "simulate.times is empty, expected at least one time");
  return times;
}

void validate(const SimulateOptions& options) {
  SimulateOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  simulated_times(options);
}

}  // namespace crosstate
