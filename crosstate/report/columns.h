// Width and column alignment of a table, shared by all renderings. Internal to report/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crosstate/report/report.h"

namespace crosstate::report {

/// Columns of the widest row, the header included.
std::size_t column_count(const Table& table);

/// The cell, or "" where a row is shorter than the table is wide.
const std::string& cell_at(const std::vector<std::string>& row, std::size_t column);

/// True for "97.3", "-1.2e-4", "97.3 ± 0.4", "12 µJ", "3.5%"; false for text such as "8-bit".
bool is_number(std::string_view cell);

/// Per column: whether it holds numbers (and gaps) only, and so is aligned to the right.
std::vector<bool> numeric_columns(const Table& table);

}  // namespace crosstate::report
