#include "crosstate/analog/placement.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/analog/bit_line.h"

namespace crosstate::analog {

std::vector<std::size_t> cuts(std::size_t count, std::size_t most) {
  std::size_t parts = most == 0 ? 1 : count / most + (count % most == 0 ? 0 : 1);
  if (count == 0) parts = 0;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < parts; ++i) at.push_back(i * count / parts);
  at.push_back(count);
  return at;
}

std::size_t modes_of_piece(const ArrayGeometry& array, bool complex) {
  constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  // Every state has a row; with A it has a column as well, and the channel a row for its input.
  const auto left = [](std::size_t lines, bool one_used) {
    return lines == 0 ? kUnlimited : lines - (one_used ? 1 : 0);
  };
  std::size_t lines = left(array.rows, array.states);
  if (array.states) lines = std::min(lines, left(array.columns, array.outputs));
  if (lines == kUnlimited) return lines;
  return std::max<std::size_t>(1, lines / (complex ? 2 : 1));
}

ModePlacement::ModePlacement(const CodeMode& m, bool complex, float largest_output,
                             const ArrayGeometry& array) {
  const auto put = [&](Line row, Line column, float weight, float level, bool idle = false) {
    pairs_[count_++] = {row, column, weight, level, idle};
  };
  const auto level = [&](float w, float top) { return row_level(w, top, array.drive_halvings); };
  const float ar = m.ar - array.kept;
  // Both rows of the state have the same level, since both parts of the next state depend on both.
  const float pole = std::max(std::abs(ar), std::abs(m.ai)), top = std::max(m.gain, pole);
  const float of_u = level(m.gain, top), of_x = level(pole, top);
  put(Line::kInput, Line::kReal, m.gain, of_u);
  put(Line::kReal, Line::kReal, ar, of_x);
  put(Line::kReal, Line::kOutput, m.cr, level(m.cr, largest_output));
  if (!complex) return;
  put(Line::kImaginary, Line::kReal, -m.ai, of_x);
  put(Line::kReal, Line::kImaginary, m.ai, of_x);
  put(Line::kImaginary, Line::kImaginary, ar, of_x);
  put(Line::kInput, Line::kImaginary, 0, of_u, true);
  put(Line::kImaginary, Line::kOutput, -m.ci, level(m.ci, largest_output));
}

float largest_output(std::span<const CodeMode> piece) {
  float largest = 0;
  for (const CodeMode& m : piece) largest = std::max({largest, std::abs(m.cr), std::abs(m.ci)});
  return largest;
}

std::vector<ModeUnits> mode_units(std::span<const CodeMode> channel, bool complex,
                                  const ArrayGeometry& array) {
  std::vector<ModeUnits> units(channel.size());
  const std::vector<std::size_t> cut = cuts(channel.size(), modes_of_piece(array, complex));
  for (std::size_t i = 0; i + 1 < cut.size(); ++i) {
    const std::span<const CodeMode> piece = channel.subspan(cut[i], cut[i + 1] - cut[i]);
    const float most = largest_output(piece);
    BitLine output;
    for (std::size_t n = 0; n < piece.size(); ++n) {
      ModeUnits& u = units[cut[i] + n];
      const ModePlacement placement(piece[n], complex, most, array);
      BitLine real, imaginary;
      for (const PlacedPair& p : placement.pairs()) {
        BitLine& line = p.column == Line::kOutput ? output
                        : p.column == Line::kReal ? real
                                                  : imaginary;
        line.add(p.weight, p.level);
        // Levels first; the units of the lines are known when all weights have been added.
        if (p.row == Line::kInput && p.column == Line::kReal) u.gain = p.level;
        if (p.row == Line::kReal && p.column == Line::kReal) u.pole_real = p.level;
        if (p.row == Line::kReal && p.column == Line::kImaginary) u.pole_imaginary = p.level;
        if (p.row == Line::kReal && p.column == Line::kOutput) u.cr = p.level;
        if (p.row == Line::kImaginary && p.column == Line::kOutput) u.ci = p.level;
      }
      u.gain *= real.unit();
      u.pole_real *= real.unit();
      u.pole_imaginary *= imaginary.unit();
      u.real = real.unit();
      u.imaginary = imaginary.unit();
      u.largest_real = real.sum();
      u.largest_imaginary = imaginary.sum();
    }
    for (std::size_t n = cut[i]; n < cut[i + 1]; ++n) {
      units[n].cr *= output.unit();
      units[n].ci *= output.unit();
      units[n].output = output.unit();
    }
  }
  return units;
}

}  // namespace crosstate::analog
