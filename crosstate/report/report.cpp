#include "crosstate/report/report.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <string_view>

#include "crosstate/report/columns.h"

namespace crosstate::report {
namespace {

// Counts characters, not bytes: continuation bytes of UTF-8 have no width.
std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return right ? space + text : text + space;
}

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return text;
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 0x80;
}

// Escapes text so that Markdown shows it verbatim, also inside a table cell.
std::string escape_markdown(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char previous = i > 0 ? text[i - 1] : ' ';
    const char next = i + 1 < text.size() ? text[i + 1] : ' ';
    if (c == '\r') continue;
    if (c == '\n') {
      out += "<br>";
      continue;
    }
    // An underscore within a word does not start emphasis; an ampersand matters only before an
    // entity.
    const bool special = std::string_view("\\`*[]<>|~").find(c) != std::string_view::npos ||
                         (c == '_' && !(is_word(previous) && is_word(next))) ||
                         (c == '&' && (is_word(next) || next == '#'));
    if (special) out += '\\';
    out += c;
  }
  return out;
}

// Converted cells of a table, with the width and alignment of each column.
struct Grid {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> widths;
  std::vector<bool> numeric;
};

Grid make_grid(const Table& table, std::size_t least_width,
               const std::function<std::string(const std::string&)>& convert) {
  Grid grid;
  const std::size_t columns = column_count(table);
  grid.numeric = numeric_columns(table);
  grid.widths.assign(columns, least_width);
  const auto convert_row = [&](const std::vector<std::string>& row) {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < columns; ++c) {
      cells.push_back(convert(cell_at(row, c)));
      grid.widths[c] = std::max(grid.widths[c], display_width(cells.back()));
    }
    return cells;
  };
  grid.header = convert_row(table.header);
  for (const auto& row : table.rows) grid.rows.push_back(convert_row(row));
  return grid;
}

}  // namespace

std::string to_text(const Table& table) {
  const Grid grid = make_grid(table, 1, on_one_line);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) text += "  ";
      text += pad(cells[c], grid.widths[c], grid.numeric[c]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  if (!table.title.empty()) out += on_one_line(table.title) + "\n\n";
  if (grid.widths.empty()) return out;
  if (!table.header.empty()) {
    line(grid.header);
    std::vector<std::string> rule;
    for (std::size_t width : grid.widths) rule.emplace_back(width, '-');
    line(rule);
  }
  for (const auto& row : grid.rows) line(row);
  return out;
}

std::string to_markdown(const Table& table) {
  const Grid grid = make_grid(table, 3, escape_markdown);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    out += "|";
    for (std::size_t c = 0; c < cells.size(); ++c) {
      out += " " + pad(cells[c], grid.widths[c], grid.numeric[c]) + " |";
    }
    out += "\n";
  };
  if (!table.title.empty()) out += "**" + escape_markdown(table.title) + "**\n\n";
  if (grid.widths.empty()) return out;
  line(grid.header);
  std::vector<std::string> rule;
  for (std::size_t c = 0; c < grid.widths.size(); ++c) {
    std::string dashes(grid.widths[c], '-');
    if (grid.numeric[c]) dashes.back() = ':';
    rule.push_back(dashes);
  }
  line(rule);
  for (const auto& row : grid.rows) line(row);
  return out;
}

}  // namespace crosstate::report
