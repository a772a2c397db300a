#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/report/embedded.h"
#include "crosstate/report/report.h"

namespace crosstate::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

Report sample() {
  Report report;
  report.title = "Run seven";
  report.subtitle = "A small network";
  report.paragraphs = {"First paragraph.", "Second paragraph."};
  report.tables = {{"Stages", {"Stage", "Accuracy"}, {{"float", "97.81"}, {"4-bit", "97.2"}}}};
  Plot line;
  line.title = "Loss";
  line.caption = "Loss over epochs.";
  line.x_label = "Epoch";
  line.y_label = "Cross-entropy";
  line.series = {{"training", {1, 2, 3}, {2.25, 1.125, 0.5625}, {}},
                 {"validation", {1, 2, 3}, {2.5, 1.375, 0.8125}, {0.1, 0.2, 0.3}}};
  Plot bars;
  bars.title = "Accuracy";
  bars.kind = PlotKind::kBar;
  bars.categories = {"float", "crossbar"};
  bars.series = {{"", {}, {97.8125, 96.5}, {}}};
  report.plots = {line, bars};
  report.details = {{"seed", 7}, {"training", {{"rate", 0.004}, {"betas", {0.9, 0.999}}}}};
  return report;
}

// The plots as read by the script of the page.
nlohmann::json plots_of(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"plots\">";
  const std::size_t begin = html.find(open) + open.size();
  return parse_json(html.substr(begin, html.find("</script>", begin) - begin));
}

TEST(ReportHtml, HoldsEveryText) {
  const std::string html = to_html(sample());
  for (const char* text :
       {"<title>Run seven</title>", "<h1>Run seven</h1>", "A small network", "First paragraph.",
        "Second paragraph.", "Stages", "97.81", "97.2", "Loss over epochs.", "Cross-entropy",
        "training", "validation", "0.004", "0.9, 0.999", "seed"}) {
    EXPECT_TRUE(contains(html, text)) << text;
  }
}

TEST(ReportHtml, HoldsEveryValueInTheScriptAndInTheDataTable) {
  const Report report = sample();
  const std::string html = to_html(report);
  const nlohmann::json plots = plots_of(html);
  ASSERT_EQ(plots.size(), report.plots.size());
  for (std::size_t p = 0; p < plots.size(); ++p) {
    for (std::size_t s = 0; s < report.plots[p].series.size(); ++s) {
      const Series& series = report.plots[p].series[s];
      const nlohmann::json& points = plots[p]["series"][s]["points"];
      ASSERT_EQ(points.size(), series.y.size());
      for (std::size_t i = 0; i < series.y.size(); ++i) {
        EXPECT_EQ(points[i][1].get<double>(), series.y[i]);
        if (!series.error.empty()) {
          EXPECT_EQ(points[i][2].get<double>(), series.error[i]);
        }
      }
    }
  }
  for (const char* cell : {">2.25<", ">0.5625<", ">1.375 ± 0.2<", ">97.8125<", ">96.5<"}) {
    EXPECT_TRUE(contains(html, cell)) << cell;
  }
  EXPECT_EQ(count(html, "<summary>Data</summary>"), 2u);
}

TEST(ReportHtml, StacksBarsOnlyWhereTold) {
  Report report = sample();
  Plot parts = report.plots[1];
  parts.kind = PlotKind::kStacked;
  parts.series = {{"cells", {}, {1, 2}, {}}, {"converters", {}, {5, 7}, {}}};
  report.plots.push_back(parts);
  const nlohmann::json plots = plots_of(to_html(report));
  EXPECT_EQ(plots[0]["kind"], "line");
  EXPECT_EQ(plots[1]["kind"], "bar");
  EXPECT_FALSE(plots[1]["stacked"]);
  EXPECT_EQ(plots[2]["kind"], "bar");
  EXPECT_TRUE(plots[2]["stacked"]);
}

TEST(ReportHtml, KeepsSeriesWithDifferentXApart) {
  Report report;
  report.plots = {Plot{}};
  report.plots[0].series = {{"a", {1, 2}, {3, 4}, {}}, {"b", {5}, {6}, {}}};
  const std::string html = to_html(report);
  EXPECT_TRUE(contains(html, "<td>b</td><td class=\"number\">5</td><td class=\"number\">6</td>"));
}

TEST(ReportHtml, FetchesNothing) {
  std::string html = to_html(sample());
  const std::regex resource("(?:src|href|action|data)\\s*=\\s*[\"']?\\s*(?:https?:)?//",
                            std::regex::icase);
  // The text of the library is checked as well, in pieces that the expression can handle.
  for (std::size_t at = 0; at < html.size(); at += 4000) {
    const std::string part = html.substr(at, 4100);
    EXPECT_FALSE(std::regex_search(part, resource)) << part;
  }
  EXPECT_FALSE(contains(html, "@import"));
  EXPECT_FALSE(contains(html, "sourceMappingURL"));
  EXPECT_TRUE(contains(html, "default-src 'none'"));
  EXPECT_TRUE(contains(html, "name=\"viewport\""));
}

TEST(ReportHtml, LeavesTheLibraryOutWithoutPlots) {
  Report report = sample();
  EXPECT_TRUE(contains(to_html(report), "Chart.js v"));
  report.plots.clear();
  const std::string html = to_html(report);
  EXPECT_FALSE(contains(html, "<script"));
  EXPECT_LT(html.size(), 20000u);
}

TEST(ReportHtml, EscapesHostileStringsEverywhere) {
  const std::string hostile = "</script><script>alert(1)</script><!--\"'&\xE2\x80\xA8";
  Report report;
  report.title = report.subtitle = hostile;
  report.paragraphs = {hostile};
  report.tables = {{hostile, {hostile}, {{hostile}}}};
  Plot plot;
  plot.title = plot.caption = plot.x_label = plot.y_label = hostile;
  plot.series = {{hostile, {1}, {2}, {}}};
  Plot bars = plot;
  bars.kind = PlotKind::kBar;
  bars.categories = {hostile};
  report.plots = {plot, bars};
  report.details = {{hostile, hostile}, {hostile + "2", {{hostile, hostile}}}};

  const std::string html = to_html(report);
  EXPECT_FALSE(contains(html, "<script>alert"));
  EXPECT_FALSE(contains(html, "<!--"));
  EXPECT_EQ(count(html, "</script>"), 3u);  // data, library, page script
  const nlohmann::json plots = plots_of(html);
  EXPECT_EQ(plots[0]["series"][0]["name"].get<std::string>(), hostile);
  EXPECT_EQ(plots[1]["categories"][0].get<std::string>(), hostile);

  report.plots.clear();
  EXPECT_FALSE(contains(to_html(report), "alert(1)</script>"));
}

TEST(ReportHtml, ReplacesBytesThatAreNotUtf8) {
  Report report;
  report.plots = {Plot{}};
  report.plots[0].series = {{"bad \xFF name", {1}, {2}, {}}};
  report.details = {{"path", "\xFE"}};
  EXPECT_NO_THROW(to_html(report));
}

TEST(ReportHtml, TurnsNonFinitePointsIntoGaps) {
  Report report;
  report.plots = {Plot{}};
  report.plots[0].series = {{"s", {1, 2, 3}, {0.5, kNan, kInf}, {kNan, 0.1, 0.1}}};
  report.details = {{"loss", kNan}};
  const std::string html = to_html(report);
  const nlohmann::json points = plots_of(html)[0]["series"][0]["points"];
  EXPECT_EQ(points[0][1].get<double>(), 0.5);
  EXPECT_TRUE(points[0][2].is_null());
  EXPECT_TRUE(points[1][1].is_null());
  EXPECT_TRUE(points[2][1].is_null());
  EXPECT_TRUE(contains(html, "<td class=\"number\">2</td><td class=\"number\">–</td>"));
}

TEST(ReportHtml, NamesThePlotWhoseListsDiffer) {
  Report report;
  report.plots = {Plot{}};
  report.plots[0].title = "Loss";
  report.plots[0].series = {{"training", {1, 2, 3}, {1, 2}, {}}};
  try {
    to_html(report);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "Loss")) << error.what();
    EXPECT_TRUE(contains(error.what(), "training")) << error.what();
    EXPECT_TRUE(contains(error.what(), "3 x values for 2 y values")) << error.what();
  }
  report.plots[0].series = {{"training", {}, {1, 2}, {0.1}}};
  EXPECT_THROW(to_html(report), Error);
  report.plots[0].series = {{"training", {}, {1, 2}, {}}};
  EXPECT_NO_THROW(to_html(report));  // x counts from 1
  report.plots[0].categories = {"one"};
  EXPECT_THROW(to_html(report), Error);
}

TEST(ReportHtml, TakesAnEmptyReport) {
  const std::string html = to_html({});
  EXPECT_TRUE(contains(html, "<title>Report</title>"));
  EXPECT_FALSE(contains(html, "<details"));
  Report report;
  report.plots = {Plot{}};
  EXPECT_TRUE(contains(to_html(report), "<canvas"));
}

TEST(ReportHtml, EmbedsAKnownChartLibrary) {
  const std::string library(embedded::chart_library().substr(0, 200));
  EXPECT_TRUE(std::regex_search(library, std::regex("Chart\\.js v[34]\\."))) << library;
}

}  // namespace
}  // namespace crosstate::report
