// Width and column alignment of a table, shared by all renderings. Internal to report/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crosstate/report/report.h"

namespace crosstate::report {

/// Number of columns of the widest row, including the header.
std::size_t column_count(const Table& table);

/// The cell, or "" if the row is shorter than the table.
const std::string& cell_at(const std::vector<std::string>& row, std::size_t column);

/// True for "97.3", "-1.2e-4", "97.3 ± 0.4", "12 µJ", "3.5%"; false for text such as "8-bit".
bool is_number(std::string_view cell);

/// Per column: whether it contains only numbers (and gaps), and so is right-aligned.
std::vector<bool> numeric_columns(const Table& table);

}  // namespace crosstate::report
