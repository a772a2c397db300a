// Description of the machine that computed a result, for reports.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace crosstate::report {

/// Keys: cpu, cores (available to this process), instruction_sets (of avx2, avx512f, neon), system,
/// architecture, compiler, crosstate (version). Unknown values are "unknown".
nlohmann::json machine_summary();

}  // namespace crosstate::report
