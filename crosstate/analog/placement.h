// The placement of weights on arrays, in units of codes: rows are driven by integer codes of inputs
// and states, and a weight is the contribution of one code to a sum. Mapping and training share
// this placement and the scales of bit lines (bit_line.h), so that training sees the arrays that
// will be built.
//
// The recurrence. A channel's modes are cut into pieces, each a block of one array (mapping.h):
//
//                       re'        im'       y
//   u                  gain      (idle)
//   re, of a mode    Ar - kept     Ai       Cr
//   im               -Ai        Ar - kept  -Ci
//
// `kept` is 1 if the converters of the states add the previous state, so that cells hold
// increments, and 0 if cells hold A itself. Real modes lack the imaginary row and column. The row
// of u is driven for both parts, which are read at the same time.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/analog/row_levels.h"

namespace crosstate::analog {

/// The properties of an array that determine the placement of weights and the drive levels of rows.
struct ArrayGeometry {
  std::size_t rows = 0, columns = 0;    // usable pairs; 0: unlimited
  int drive_halvings = kDriveHalvings;  // of a row's level; 0: all rows have the full one
  float kept = 1;                       // multiple of the previous state that converters add
};

/// Cuts of [0, count) into the fewest parts of at most `most`, nearly equal: where each begins, and
/// `count`. most = 0: one part.
std::vector<std::size_t> cuts(std::size_t count, std::size_t most);

/// Modes that fit on an array beside their channel's input and output.
std::size_t modes_of_piece(const ArrayGeometry& array, bool complex);

/// One mode, in codes of its state: the contributions of one code of u and of either part of the
/// state to the next state; and the contribution of the state to y, in any unit that the channel
/// shares. Real modes: ai = ci = 0.
struct CodeMode {
  float gain = 0, ar = 0, ai = 0, cr = 0, ci = 0;
};

/// A row or column that a mode takes.
enum class Line { kInput, kReal, kImaginary, kOutput };

struct PlacedPair {
  Line row = Line::kInput, column = Line::kReal;
  float weight = 0;
  float level = 1;    // that drives the row while the column is read
  bool idle = false;  // the row is driven, but the pair holds no weight
};

/// The pairs that one mode takes.
class ModePlacement {
 public:
  /// `largest_output`: of |cr| and |ci| on its piece (largest_output()).
  ModePlacement(const CodeMode& mode, bool complex, float largest_output,
                const ArrayGeometry& array);
  std::span<const PlacedPair> pairs() const { return {pairs_.data(), count_}; }

 private:
  std::array<PlacedPair, 8> pairs_;
  std::size_t count_ = 0;
};

/// The largest magnitude that the modes of a piece have on its output.
float largest_output(std::span<const CodeMode> piece);

/// The bit-line scales of one mode, all in the units of CodeMode. `unit`: the
/// weight that a full conductance stands for in that place. A has two places, in the columns of the
/// real and of the imaginary part.
struct ModeUnits {
  float gain = 0, cr = 0, ci = 0;  // units
  float pole_real = 0, pole_imaginary = 0;
  // The largest step of either part of the state over the largest code that drives a row.
  float largest_real = 0, largest_imaginary = 0;
};

/// The bit-line scales of the modes of one channel, cut into pieces.
std::vector<ModeUnits> mode_units(std::span<const CodeMode> channel, bool complex,
                                  const ArrayGeometry& array);

}  // namespace crosstate::analog
