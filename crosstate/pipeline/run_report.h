// What a run came to, as a table and as a page.
#pragma once

#include "crosstate/pipeline/run.h"
#include "crosstate/report/report.h"

namespace crosstate {

/// One row per stage: accuracy, bits, memory, seconds.
Table summary_table(const RunSummary& summary);

/// Learning curves, accuracy of each stage, accuracy against noise, and where the bytes go.
Report run_report(const RunSummary& summary);

}  // namespace crosstate
