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

/// Whether a cell is one number: decimal digits, also in groups of three ("52,874"), with an
/// optional sign (+, -, ~, <, >, ≤, ≥, ...), exponent, deviation ("97.3 ± 0.4") and unit of at most
/// ten bytes, of which none is a digit ("12 µJ", "3.5%"). Several numbers are text: sizes
/// ("64x64", "64 x 64"), lists ("16/16/2", "1,2"), times ("10:30"), ranges ("1 to 2"), sums; and so
/// is "8-bit".
bool is_number(std::string_view cell);

/// Per column: whether it contains only numbers (and gaps), and so is right-aligned.
std::vector<bool> numeric_columns(const Table& table);

}  // namespace crosstate::report
