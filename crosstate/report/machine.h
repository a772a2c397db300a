// The machine a result was computed on, as reports record it.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace crosstate::report {

/// Keys: cpu, cores (this process may use), instruction_sets (of avx2, avx512f, neon), system,
/// architecture, compiler, crosstate (version). Unknown values read "unknown".
nlohmann::json machine_summary();

}  // namespace crosstate::report
