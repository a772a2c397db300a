#include "crosstate/pipeline/mapping_picture.h"

#include <algorithm>
#include <cstdio>

namespace crosstate::pipeline {
namespace {

constexpr std::size_t kAcross = 6;        // arrays per line
constexpr double kSide = 160, kGap = 40;  // of an array, and between two arrays

const char* colour_of(mapping::Site site) {
  switch (site) {
    case mapping::Site::kEncoder:
      return "#0a7d5a";
    case mapping::Site::kRecurrence:
      return "#2457a6";
    case mapping::Site::kLinear:
      return "#b3541e";
    case mapping::Site::kDecoder:
      return "#7a3c8f";
  }
  return "";
}

std::string title_of(const mapping::MappedArray& a) {
  const std::string layer = std::to_string(a.layer);
  switch (a.site) {
    case mapping::Site::kEncoder:
      return "encoder";
    case mapping::Site::kRecurrence:
      return "recurrence " + layer;
    case mapping::Site::kLinear:
      return "pointwise " + layer;
    case mapping::Site::kDecoder:
      return "decoder";
  }
  return "";
}

// Adjacent weights of a row are merged into one rectangle.
void draw_row(const mapping::MappedArray& a, std::size_t row, double x, double y, double width,
              double height, std::string& svg) {
  char text[200];
  for (std::size_t c = 0; c < a.columns;) {
    if (a.weights[row * a.columns + c] == 0) {
      ++c;
      continue;
    }
    const std::size_t first = c;
    while (c < a.columns && a.weights[row * a.columns + c] != 0) ++c;
    std::snprintf(text, sizeof text,
                  "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
                  x + static_cast<double>(first) * width, y + static_cast<double>(row) * height,
                  static_cast<double>(c - first) * width, height, colour_of(a.site));
    svg += text;
  }
}

}  // namespace

std::string mapping_svg(const mapping::Mapping& mapping,
                        const crossbar::CrossbarOptions& crossbar) {
  const std::size_t count = mapping.arrays.size(), lines = (count + kAcross - 1) / kAcross;
  char text[400];
  std::snprintf(text, sizeof text,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                "font-family=\"sans-serif\" font-size=\"11\">\n",
                kGap + static_cast<double>(std::min(count, kAcross)) * (kSide + kGap),
                kGap + static_cast<double>(lines) * (kSide + kGap));
  std::string svg = text;
  for (std::size_t i = 0; i < count; ++i) {
    const mapping::MappedArray& a = mapping.arrays[i];
    const double x = kGap + static_cast<double>(i % kAcross) * (kSide + kGap);
    const double y = kGap + static_cast<double>(i / kAcross) * (kSide + kGap);
    const double used =
        100 * static_cast<double>(a.used) / static_cast<double>(mapping.pairs_per_array);
    std::snprintf(text, sizeof text,
                  "<text x=\"%.1f\" y=\"%.1f\">%zu: %s, %.1f %%</text>\n"
                  "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
                  "stroke=\"#999\"/>\n",
                  x, y - 6, i, title_of(a).c_str(), used, x, y, kSide, kSide);
    svg += text;
    for (std::size_t r = 0; r < a.rows; ++r) {
      draw_row(a, r, x, y, kSide / crossbar.columns, kSide / crossbar.rows, svg);
    }
  }
  return svg + "</svg>\n";
}

}  // namespace crosstate::pipeline
