#include "crosstate/simulate/options.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::simulate {
namespace {

// 0: not a unit of time.
double seconds_of(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1;
  if (unit == "min") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  if (unit == "y") return 365.25 * 86400;
  return 0;
}

}  // namespace

std::optional<double> read_time(std::string_view text) {
  text = without_blanks(text);
  // The unit follows the last digit or point: "1e3h" is a thousand hours.
  const std::size_t end = text.find_last_of("0123456789.") + 1;
  const std::optional<double> value = read_number<double>(text.substr(0, end)).value;
  const double unit = seconds_of(text.substr(end));
  if (!value || !(*value >= 0) || unit == 0 || !std::isfinite(*value * unit)) return std::nullopt;
  return *value * unit;
}

void fields(FieldList& list, SimulateOptions& options) {
  list.section("simulate");
  list.add("chips", options.chips, "Number of chips, each with its own random devices.")
      .range(1, 100000);
  list.add(
      "times", options.times,
      "Ages at which every chip is tested, ascending, in seconds or with units: \"1s 1h 1d 1y\".");
  list.add("sequences", options.sequences,
           "Number of test sequences (the first ones) on which chips are tested; 0: all.")
      .range(0, 1e9);
  list.add("calibration", options.calibration,
           "Number of sequences from the end of the test set, without labels, from which the "
           "ranges of calibrated converters are chosen.")
      .range(1, 1e6);
}

std::vector<double> simulated_times(const SimulateOptions& options) {
  std::vector<double> times;
  std::istringstream words(options.times);
  std::string word;
  while (words >> word) {
    const std::optional<double> t = read_time(word);
    if (!t || (!times.empty() && *t <= times.back())) {
      fail("options", "simulate.times = \"" + excerpt(options.times) + "\": \"" + excerpt(word) +
                          "\" is not a later time, expected ascending seconds, or 1s 1h 1d 1y");
    }
    times.push_back(*t);
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

}  // namespace crosstate::simulate
