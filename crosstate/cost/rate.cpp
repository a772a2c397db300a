#include "crosstate/cost/rate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::cost {
namespace {

constexpr double kNanoseconds = 1e9;  // in a second

// Energy of a step as a + p / rate: what it takes itself, less the rest that it replaces, and the
// power at rest.
struct Line {
  double fixed = 0;  // pJ
  double power = 0;  // uW
};

Line line(double step, double wake, double power, double nanoseconds) {
  return {step + wake - power * nanoseconds * kPicoPerFemto, power};
}

// All constants at one end of their ranges.
Line line_at(const Estimate& e, double Range::*end) {
  return line(e.energy.per_step().*end, e.wake.total(0).*end, e.rest.total(0).*end,
              e.latency.per_step().typical);
}

// uW / pJ = 1e6 / s.
double below(const Line& a, const Line& b) {
  constexpr double kMicrowattPerPicojoule = 1e6;
  const double saved = b.power - a.power, lost = a.fixed - b.fixed;
  if (saved <= 0) return 0;
  return lost > 0 ? saved / lost * kMicrowattPerPicojoule : std::numeric_limits<double>::infinity();
}

void require_rest(const Estimate& e) {
  if (!e.rest.terms.empty()) return;
  fail(e.target, "has no power at rest, expected an accelerator or crossbars");
}

}  // namespace

double highest_rate(const Estimate& e) { return kNanoseconds / e.latency.per_step().typical; }

Range energy_at_rate(const Estimate& e, double steps_per_second) {
  require_rest(e);
  const double period = kNanoseconds / steps_per_second;
  const double rest = std::max(0.0, period - e.latency.per_step().typical);
  return e.energy.per_step() + e.wake.total(0) * (rest > 0 ? 1 : 0) +
         e.rest.total(0) * (rest * kPicoPerFemto);
}

Range break_even_rate(const Estimate& a, const Estimate& b) {
  require_rest(a);
  require_rest(b);
  return {below(line_at(a, &Range::high), line_at(b, &Range::low)),
          below(line_at(a, &Range::typical), line_at(b, &Range::typical)),
          below(line_at(a, &Range::low), line_at(b, &Range::high))};
}

nlohmann::json open_range_json(const Range& rate) {
  const auto number = [](double value) {
    return std::isinf(value) ? nlohmann::json(nullptr) : nlohmann::json(value);
  };
  return {
      {"low", number(rate.low)}, {"typical", number(rate.typical)}, {"high", number(rate.high)}};
}

}  // namespace crosstate::cost
