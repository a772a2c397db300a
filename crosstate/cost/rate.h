// Time steps at a rate below the highest: between them, arrays and logic are idle and memory
// retains its content.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "crosstate/cost/energy.h"

namespace crosstate::cost {

/// Time steps per second that a target reaches with typical constants.
double highest_rate(const Estimate& estimate);

/// Energy in pJ of a time step and the rest after it, when `steps_per_second` steps are computed
/// per second. Above the highest rate there is no rest. Not for microcontrollers, whose sleep is
/// not modelled: Throws Error for an estimate without a power at rest.
Range energy_at_rate(const Estimate& estimate, double steps_per_second);

/// The rate in steps per second below which `a` takes less energy than `b`; 0: at no rate,
/// infinite: at every rate. typical compares the typical energies; low has all constants of `a` at
/// their worst and those of `b` at their best, high the reverse.
Range break_even_rate(const Estimate& a, const Estimate& b);

/// {"low": ..., "typical": ..., "high": ...}; null: at every rate.
nlohmann::json open_range_json(const Range& rate);

}  // namespace crosstate::cost
