// Tables and plots of a simulation of chips.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "crosstate/mapping/mapping.h"
#include "crosstate/report/report.h"
#include "crosstate/simulate/simulate.h"

namespace crosstate::pipeline {

/// A time as text: "1 d", "0 s".
std::string age_text(double seconds);
/// One row per age.
report::Table chips_table(const simulate::SimulateSummary& summary);
/// `errors` may be empty.
report::Report chips_report(const std::string& model, const simulate::SimulateSummary& summary,
                            const simulate::StateErrors& errors);
/// One row per array: its contents, size and utilisation.
report::Table mapping_table(const mapping::Mapping& mapping);
nlohmann::json to_json(const mapping::Mapping& mapping);
/// [{low, high, modes, rms: [...]}, ...]
nlohmann::json to_json(const simulate::StateErrors& errors);

}  // namespace crosstate::pipeline
