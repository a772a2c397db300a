// The HTML page: markup, tables, and the plots as JSON, which page.js passes to Chart.js.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/utf8.h"
#include "crosstate/report/columns.h"
#include "crosstate/report/embedded.h"
#include "crosstate/report/report.h"

namespace crosstate::report {
namespace {

using nlohmann::json;

// Escapes text for use between tags and inside a quoted attribute.
std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : as_utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// JSON for a script element. "<" occurs only in strings; escaped, it can neither close the element
// nor open a comment. Non-finite numbers become null, invalid UTF-8 a replacement character.
std::string script_json(const json& value) {
  std::string out;
  for (char c : json_text(value)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// Integers in full, other numbers with six digits, a dash for a missing number.
std::string format(double value) {
  if (!std::isfinite(value)) return "–";
  char buffer[64];
  const bool whole = value == std::trunc(value) && std::abs(value) < 1e15;
  const auto end =
      whole ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<long long>(value))
            : std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 6);
  return {buffer, end.ptr};
}

double x_of(const Series& series, std::size_t point) {
  return series.x.empty() ? static_cast<double>(point + 1) : series.x[point];
}

void check_lengths(const Plot& plot) {
  for (const Series& series : plot.series) {
    const auto check = [&](std::size_t size, const char* what) {
      if (size == series.y.size()) return;
      fail("report plot '" + plot.title + "', series '" + series.name + "'",
           std::to_string(size) + " " + what + " for " + std::to_string(series.y.size()) +
               " y values; each point needs one");
    };
    if (!plot.categories.empty()) {
      check(plot.categories.size(), "categories");
    } else if (!series.x.empty()) {
      check(series.x.size(), "x values");
    }
    if (!series.error.empty()) check(series.error.size(), "error values");
  }
}

json plot_json(const Plot& plot) {
  json out = {{"title", plot.title},
              {"x_label", plot.x_label},
              {"y_label", plot.y_label},
              {"kind", plot.kind == PlotKind::kLine ? "line" : "bar"},
              {"stacked", plot.kind == PlotKind::kStacked},
              {"categories", plot.categories},
              {"log_x", plot.log_x},
              {"log_y", plot.log_y},
              {"series", json::array()}};
  for (const Series& series : plot.series) {
    json points = json::array();
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      points.push_back({x_of(series, i), series.y[i], series.error.empty() ? 0 : series.error[i]});
    }
    out["series"].push_back({{"name", series.name}, {"points", std::move(points)}});
  }
  return out;
}

// The data of a plot: one row per x if all series share their x, else one per point.
Table data_table(const Plot& plot) {
  Table table;
  const std::string x_name = plot.x_label.empty() && plot.categories.empty() ? "x" : plot.x_label;
  const auto x_text = [&](const Series& series, std::size_t i) {
    return plot.categories.empty() ? format(x_of(series, i)) : plot.categories[i];
  };
  const auto y_text = [](const Series& series, std::size_t i) {
    std::string text = format(series.y[i]);
    const double error = series.error.empty() ? 0 : series.error[i];
    if (std::isfinite(series.y[i]) && std::isfinite(error) && error > 0) {
      text += " ± " + format(error);
    }
    return text;
  };
  if (plot.series.empty()) return table;
  const Series& first = plot.series.front();
  const bool shared = std::all_of(plot.series.begin(), plot.series.end(), [&](const Series& s) {
    return s.y.size() == first.y.size() && (!plot.categories.empty() || s.x == first.x);
  });
  if (shared) {
    table.header = {x_name};
    for (const Series& series : plot.series) {
      const bool unnamed = series.name.empty() && plot.series.size() == 1;
      table.header.push_back(unnamed ? plot.y_label : series.name);
    }
    for (std::size_t i = 0; i < first.y.size(); ++i) {
      std::vector<std::string> row = {x_text(first, i)};
      for (const Series& series : plot.series) row.push_back(y_text(series, i));
      table.rows.push_back(std::move(row));
    }
  } else {
    table.header = {"Series", x_name, plot.y_label.empty() ? "y" : plot.y_label};
    for (const Series& series : plot.series) {
      for (std::size_t i = 0; i < series.y.size(); ++i) {
        table.rows.push_back({series.name, x_text(series, i), y_text(series, i)});
      }
    }
  }
  return table;
}

// A table in a box that scrolls horizontally on narrow screens.
std::string table_html(const Table& table, std::string_view label) {
  const std::size_t columns = column_count(table);
  const std::vector<bool> numeric = numeric_columns(table);
  const auto row_html = [&](const std::vector<std::string>& row, bool header) {
    std::string out = "<tr>";
    for (std::size_t c = 0; c < columns; ++c) {
      out += header ? "<th scope=\"col\"" : "<td";
      if (numeric[c]) out += " class=\"number\"";
      out += ">" + escape_html(cell_at(row, c)) + (header ? "</th>" : "</td>");
    }
    return out + "</tr>\n";
  };
  std::string out = "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" +
                    escape_html(label) + "\"><table>\n";
  if (!table.header.empty()) out += "<thead>" + row_html(table.header, true) + "</thead>\n";
  out += "<tbody>\n";
  for (const auto& row : table.rows) out += row_html(row, false);
  return out + "</tbody></table></div>\n";
}

std::string plot_html(const Plot& plot, std::size_t index) {
  const std::string title = escape_html(plot.title), caption = escape_html(plot.caption);
  const std::string label = title.empty() ? "Plot " + std::to_string(index + 1) : title;
  std::string out = "<figure>\n";
  if (!title.empty()) out += "<h2>" + title + "</h2>\n";
  if (!caption.empty()) out += "<figcaption>" + caption + "</figcaption>\n";
  if (!plot.y_label.empty()) {
    out += "<div class=\"axis\">" + escape_html(plot.y_label) + "</div>\n";
  }
  out += "<div class=\"chart\"><canvas data-plot=\"" + std::to_string(index) +
         "\" role=\"img\" aria-label=\"" + label + (caption.empty() ? "" : ": " + caption) +
         "\"></canvas></div>\n";
  out += "<details><summary>Data</summary>\n" +
         table_html(data_table(plot), plot.title + " (data)") + "</details>\n";
  return out + "</figure>\n";
}

// One line per leaf; nested keys are joined by dots.
void flatten(const json& value, const std::string& key, Table& table) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [name, inner] : value.items()) {
      flatten(inner, key.empty() ? name : key + "." + name, table);
    }
    return;
  }
  std::string text;
  if (value.is_string()) {
    text = value.get<std::string>();
  } else if (value.is_array() && std::none_of(value.begin(), value.end(),
                                              [](const json& v) { return v.is_structured(); })) {
    for (const json& item : value) {
      if (!text.empty()) text += ", ";
      text += item.is_string() ? item.get<std::string>() : exact_json_text(item);
    }
  } else {
    text = json_text(value);
  }
  table.rows.push_back({key, text});
}

// Each top-level object becomes a small table under its name; plain values come first.
std::string details_html(const json& details) {
  if (details.is_null() || (details.is_structured() && details.empty())) return "";
  std::string out = "<details class=\"more\"><summary>Details</summary>\n";
  if (!details.is_object()) {
    out +=
        "<pre class=\"scroll\" tabindex=\"0\">" + escape_html(json_text(details, 2)) + "</pre>\n";
    return out + "</details>\n";
  }
  Table plain;
  for (const auto& [name, value] : details.items()) {
    if (!value.is_object()) flatten(value, name, plain);
  }
  out += "<div class=\"groups\">\n";
  if (!plain.rows.empty()) out += "<section>" + table_html(plain, "General") + "</section>\n";
  for (const auto& [name, value] : details.items()) {
    if (!value.is_object() || value.empty()) continue;
    Table group;
    flatten(value, "", group);
    std::string heading = name;
    std::replace(heading.begin(), heading.end(), '_', ' ');
    out += "<section><h3>" + escape_html(heading) + "</h3>\n" + table_html(group, heading) +
           "</section>\n";
  }
  return out + "</div>\n</details>\n";
}

// Makes the browser refuse every request that the page could make.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

}  // namespace

std::string to_html(const Report& report) {
  for (const Plot& plot : report.plots) check_lengths(plot);

  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta http-equiv=\"Content-Security-Policy\" content=\"" + std::string(kPolicy) + "\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out += "<link rel=\"icon\" href=\"data:,\">\n";
  out += "<title>" + escape_html(report.title.empty() ? "Report" : report.title) + "</title>\n";
  out += "<style>\n" + std::string(embedded::page_style()) + "</style>\n</head>\n<body>\n<main>\n";

  out += "<header>\n";
  if (!report.title.empty()) out += "<h1>" + escape_html(report.title) + "</h1>\n";
  if (!report.subtitle.empty()) {
    out += "<p class=\"subtitle\">" + escape_html(report.subtitle) + "</p>\n";
  }
  out += "</header>\n";
  for (const std::string& paragraph : report.paragraphs) {
    out += "<p>" + escape_html(paragraph) + "</p>\n";
  }

  if (!report.tables.empty()) {
    out += "<div class=\"tables\">\n";
    for (const Table& table : report.tables) {
      out += "<section>\n";
      if (!table.title.empty()) out += "<h2>" + escape_html(table.title) + "</h2>\n";
      out += table_html(table, table.title.empty() ? "Table" : table.title) + "</section>\n";
    }
    out += "</div>\n";
  }

  if (!report.plots.empty()) {
    out +=
        "<noscript><p class=\"note\">The charts need JavaScript; their numbers are in the Data "
        "tables.</p></noscript>\n<div class=\"plots\">\n";
    for (std::size_t i = 0; i < report.plots.size(); ++i) out += plot_html(report.plots[i], i);
    out += "</div>\n";
  }
  out += details_html(report.details);
  out += "</main>\n";

  if (!report.plots.empty()) {
    json plots = json::array();
    for (const Plot& plot : report.plots) plots.push_back(plot_json(plot));
    out += "<script type=\"application/json\" id=\"plots\">" + script_json(plots) + "</script>\n";
    out += "<script>" + std::string(embedded::chart_library()) + "</script>\n";
    out += "<script>\n" + std::string(embedded::page_script()) + "</script>\n";
  }
  return out + "</body>\n</html>\n";
}

}  // namespace crosstate::report
