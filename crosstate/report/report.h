// A report: tables and line or bar plots, rendered as one self-contained HTML page or as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace crosstate::report {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> error;  // half-height of an error bar per point; empty: none
};

/// kStacked: bars of a category on top of each other; values of 0 or more, on a linear axis.
enum class PlotKind { kLine, kBar, kStacked };

struct Plot {
  std::string title, x_label, y_label;
  std::string caption;  // one or two sentences about the plot
  PlotKind kind = PlotKind::kLine;
  std::vector<Series> series;
  std::vector<std::string> categories;  // x labels for bars
  bool log_x = false, log_y = false;
};

struct Table {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct Report {
  std::string title;
  std::string subtitle;
  std::vector<std::string> paragraphs;
  std::vector<Table> tables;
  std::vector<Plot> plots;
  nlohmann::json details;  // collapsed at the end of the page (configuration, machine)
};

/// The table with aligned columns for a terminal.
std::string to_text(const Table& table);
/// The table as Markdown.
std::string to_markdown(const Table& table);
/// One self-contained HTML page (charting library, data, style); needs no network access.
std::string to_html(const Report& report);

}  // namespace crosstate::report
