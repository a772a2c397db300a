// What a simulation of chips came to, as tables and plots.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crosstate/mapping/mapping.h"
#include "crosstate/report/report.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate {

/// "1 d", "0 s".
std::string age_text(double seconds);
/// A row per age.
Table chips_table(const SimulateSummary& summary);
/// `errors` may be empty.
Report chips_report(const std::string& model, const SimulateSummary& summary,
                    const StateErrors& errors);
/// A row per array: what sits there, its size and utilisation.
Table mapping_table(const Mapping& mapping);
nlohmann::json to_json(const Mapping& mapping);
/// [{low, high, modes, rms: [...]}, ...]
nlohmann::json to_json(const StateErrors& errors);

}  // namespace crosstate
