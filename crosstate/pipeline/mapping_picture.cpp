#include "crosstate/pipeline/mapping_picture.h"

#include <algorithm>

#include "crosstate/base/numbers.h"

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

std::string attribute(const char* name, double value, int digits) {
  return std::string(" ") + name + "=\"" + fixed_text(value, digits) + '"';
}

std::string rectangle(double x, double y, double width, double height, int digits) {
  return "<rect" + attribute("x", x, digits) + attribute("y", y, digits) +
         attribute("width", width, digits) + attribute("height", height, digits);
}

// Adjacent weights of a row are merged into one rectangle.
void draw_row(const mapping::MappedArray& a, std::size_t row, double x, double y, double width,
              double height, std::string& svg) {
  for (std::size_t c = 0; c < a.columns;) {
    if (a.weights[row * a.columns + c] == 0) {
      ++c;
      continue;
    }
    const std::size_t first = c;
    while (c < a.columns && a.weights[row * a.columns + c] != 0) ++c;
    svg += rectangle(x + static_cast<double>(first) * width, y + static_cast<double>(row) * height,
                     static_cast<double>(c - first) * width, height, 2) +
           " fill=\"" + colour_of(a.site) + "\"/>\n";
  }
}

}  // namespace

std::string mapping_svg(const mapping::Mapping& mapping,
                        const crossbar::CrossbarOptions& crossbar) {
  const std::size_t count = mapping.arrays.size(), lines = (count + kAcross - 1) / kAcross;
  const double width = kGap + static_cast<double>(std::min(count, kAcross)) * (kSide + kGap),
               height = kGap + static_cast<double>(lines) * (kSide + kGap);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("width", width, 0) +
                    attribute("height", height, 0) +
                    " font-family=\"sans-serif\" font-size=\"11\">\n";
  for (std::size_t i = 0; i < count; ++i) {
    const mapping::MappedArray& a = mapping.arrays[i];
    const double x = kGap + static_cast<double>(i % kAcross) * (kSide + kGap);
    const double y = kGap + static_cast<double>(i / kAcross) * (kSide + kGap);
    const double used =
        100 * static_cast<double>(a.used) / static_cast<double>(mapping.pairs_per_array);
    svg += "<text" + attribute("x", x, 1) + attribute("y", y - 6, 1) + '>' + std::to_string(i) +
           ": " + title_of(a) + ", " + fixed_text(used, 1) + " %</text>\n";
    svg += rectangle(x, y, kSide, kSide, 1) + " fill=\"none\" stroke=\"#999\"/>\n";
    for (std::size_t r = 0; r < a.rows; ++r) {
      draw_row(a, r, x, y, kSide / crossbar.columns, kSide / crossbar.rows, svg);
    }
  }
  return svg + "</svg>\n";
}

}  // namespace crosstate::pipeline
