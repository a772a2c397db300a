#include "crosstate/circuit/cell_law.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace crosstate::circuit {
namespace {

CellResponse respond_alone(const CellLaw& law, double g, double v) {
  return {v * (g + v * (law.nl2 + v * law.nl3)), g + v * (2 * law.nl2 + v * 3 * law.nl3)};
}

CellResponse respond_selector(const CellLaw& law, double v) {
  const double x = v / law.selector_voltage;
  return {law.selector_current * std::sinh(x),
          law.selector_current / law.selector_voltage * std::cosh(x)};
}

// The selector's share of the voltage, for which both carry the same current. The difference of
// their currents has a root, since a hyperbolic sine outgrows every polynomial, so bisection always
// converges; Newton steps accelerate it.
double selector_share(const CellLaw& law, double g, double volts) {
  const auto excess = [&](double share) {
    return respond_selector(law, share).current - respond_alone(law, g, volts - share).current;
  };
  double low = std::min(0.0, volts), high = std::max(0.0, volts);
  for (double step = law.selector_voltage; excess(low) > 0; step *= 2) low -= step;
  for (double step = law.selector_voltage; excess(high) < 0; step *= 2) high += step;
  double share = low + (high - low) / 2, step = high - low;
  constexpr int kMostSteps = 200;
  for (int i = 0; i < kMostSteps; ++i) {
    const CellResponse selector = respond_selector(law, share);
    const CellResponse cell = respond_alone(law, g, volts - share);
    const double difference = selector.current - cell.current;
    (difference > 0 ? high : low) = share;
    // Far up the exponential Newton steps are too short, and on its flat part they leave the
    // bracket.
    const double newton = -difference / (selector.slope + cell.slope);
    const bool good = share + newton >= low && share + newton <= high;
    step = good && std::abs(newton) < std::abs(step) / 2 ? newton : low + (high - low) / 2 - share;
    if (std::abs(step) <= 2e-16 * std::abs(share)) return share;
    share += step;
  }
  return share;
}

}  // namespace

void fields(FieldList& list, CellLaw& law) {
  list.section("cells");
  list.add("nl2", law.nl2, "Quadratic term of every cell: I = G V + nl2 V^2 + nl3 V^3.")
      .in("A/V^2")
      .range(-1e3, 1e3);
  list.add("nl3", law.nl3, "Cubic term of every cell.").in("A/V^3").range(-1e3, 1e3);
  list.add("selector_current", law.selector_current,
           "Scale I_s of a selector in series with every cell, I = I_s sinh(V / V_0); 0: none.")
      .in("A")
      .range(0, 1e3);
  list.add("selector_voltage", law.selector_voltage, "Scale V_0 of the selector.")
      .in("V")
      .range(1e-3, 1e3);
}

void validate(const CellLaw& law) {
  CellLaw copy = law;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

CellResponse respond(const CellLaw& law, double siemens, double volts) {
  if (!law.has_selector()) return respond_alone(law, siemens, volts);
  const double share = selector_share(law, siemens, volts);
  const CellResponse selector = respond_selector(law, share);
  const CellResponse cell = respond_alone(law, siemens, volts - share);
  const double sum = selector.slope + cell.slope;
  return {selector.current, sum > 0 ? selector.slope * cell.slope / sum : 0.0};
}

}  // namespace crosstate::circuit
