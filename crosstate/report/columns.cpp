#include "crosstate/report/columns.h"

#include <algorithm>
#include <regex>

namespace crosstate::report {
namespace {

// A cell for a missing value, aligned like its column.
bool is_gap(std::string_view cell) {
  static constexpr std::string_view kGaps[] = {"",    "-",    "–",   "—",   "n/a",
                                               "nan", "-nan", "inf", "-inf"};
  return std::find(std::begin(kGaps), std::end(kGaps), cell) != std::end(kGaps);
}

}  // namespace

std::size_t column_count(const Table& table) {
  std::size_t count = table.header.size();
  for (const auto& row : table.rows) count = std::max(count, row.size());
  return count;
}

const std::string& cell_at(const std::vector<std::string>& row, std::size_t column) {
  static const std::string kEmpty;
  return column < row.size() ? row[column] : kEmpty;
}

bool is_number(std::string_view cell) {
  // Longer cells are text; the bound also limits the recursion of the expression.
  if (cell.empty() || cell.size() > 48) return false;
  static const std::regex kNumber([] {
    const std::string sign = "(?:[-+~<>]|−|±|≈|≤|≥)?\\s*";
    const std::string whole = "(?:\\d{1,3}(?:,\\d{3})+|\\d+)";
    const std::string digits = "(?:" + whole + "(?:\\.\\d*)?|\\.\\d+)(?:[eE][-+]?\\d+)?";
    const std::string unit = "(?:\\s?[^\\s\\d.,:/+-][^\\s\\d:+-]{0,9})?";
    return sign + digits + "(?:\\s*±\\s*" + digits + ")?" + unit;
  }());
  return std::regex_match(cell.begin(), cell.end(), kNumber);
}

std::vector<bool> numeric_columns(const Table& table) {
  std::vector<bool> numeric(column_count(table));
  for (std::size_t column = 0; column < numeric.size(); ++column) {
    bool any_number = false, only_numbers = true;
    for (const auto& row : table.rows) {
      const std::string& cell = cell_at(row, column);
      const bool number = is_number(cell);
      any_number |= number;
      only_numbers &= number || is_gap(cell);
    }
    numeric[column] = any_number && only_numbers;
  }
  return numeric;
}

}  // namespace crosstate::report
