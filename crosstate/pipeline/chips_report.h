// What a simulation of chips came to, as tables and plots.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crosstate/mapping/mapping.h"
#include "crosstate/report/report.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate::pipeline {

/// "1 d", "0 s".
std::string age_text(double seconds);
/// A row per age.
report::Table chips_table(const simulate::SimulateSummary& summary);
/// `errors` may be empty.
report::Report chips_report(const std::string& model, const simulate::SimulateSummary& summary,
                            const simulate::StateErrors& errors);
/// A row per array: what sits there, its size and utilisation.
report::Table mapping_table(const mapping::Mapping& mapping);
nlohmann::json to_json(const mapping::Mapping& mapping);
/// [{low, high, modes, rms: [...]}, ...]
nlohmann::json to_json(const simulate::StateErrors& errors);

}  // namespace crosstate::pipeline
