// Results of a run as a table and as a page.
#pragma once

#include "crosstate/pipeline/run.h"
#include "crosstate/report/report.h"

namespace crosstate::pipeline {

/// Metrics of a network by its task, from the sums of a test; nothing without sums.
std::vector<report::Table> task_tables(const task::Readout& readout,
                                       const std::vector<double>& sums);

/// One row per stage: primary metric, bits, memory, seconds.
report::Table summary_table(const RunSummary& summary);

/// Learning curves, the primary metric of each stage and against noise, details of the last stage,
/// and memory by type and, of the last stage, by site.
report::Report run_report(const RunSummary& summary);

}  // namespace crosstate::pipeline
