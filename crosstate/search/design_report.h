// The result files of a search for a design. Internal to search/.
#pragma once

#include <filesystem>

#include "crosstate/search/design_search.h"

namespace crosstate::search {

/// design-front.csv and report.html.
void write_design_results(const DesignSummary& summary, const std::filesystem::path& directory);

}  // namespace crosstate::search
