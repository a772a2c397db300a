// The result files of a search. Internal to search/.
#pragma once

#include <filesystem>

#include "crosstate/search/search.h"

namespace crosstate::search {

/// sensitivity.csv, proxy-front.csv, results.csv, front.csv and report.html.
void write_search_results(const SearchSummary& summary, const std::filesystem::path& directory);

}  // namespace crosstate::search
