// Placement of weights on arrays, in units of codes: rows are driven by integer codes of inputs and
// states, and a weight is the contribution of one code to a sum. Mapping and training share this
// placement and the scales of bit lines (bit_line.h), so that training models the arrays that will
// be built.
//
// Recurrence. The modes of a channel are divided into pieces, each a block of one array
// (mapping.h):
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
  int drive_halvings = kDriveHalvings;  // halvings of a row's level; 0: all rows have full level
  float kept = 1;                       // multiple of the previous state that converters add
  // Whether a recurrent array holds A and B, and whether it holds C.
  bool states = true, outputs = true;
};

/// Divides [0, count) into the fewest parts of at most `most`, of nearly equal size: the start of
/// each, and `count`. most = 0: one part.
std::vector<std::size_t> cuts(std::size_t count, std::size_t most);

/// Number of modes that fit on an array together with those of input and output of their channel
/// that the array has.
std::size_t modes_of_piece(const ArrayGeometry& array, bool complex);

/// One mode, in codes of its state: the contributions of one code of u and of either part of the
/// state to the next state, and the contribution of the state to y, in a unit shared by the
/// channel. Real modes: ai = ci = 0.
struct CodeMode {
  float gain = 0, ar = 0, ai = 0, cr = 0, ci = 0;
};

/// A row or column used by a mode.
enum class Line { kInput, kReal, kImaginary, kOutput };

struct PlacedPair {
  Line row = Line::kInput, column = Line::kReal;
  float weight = 0;
  float level = 1;    // drive level of the row while the column is read
  bool idle = false;  // the row is driven, but the pair has no weight
};

/// The pairs used by one mode.
class ModePlacement {
 public:
  /// `largest_output`: largest |cr| or |ci| of its piece (largest_output()).
  ModePlacement(const CodeMode& mode, bool complex, float largest_output,
                const ArrayGeometry& array);
  std::span<const PlacedPair> pairs() const { return {pairs_.data(), count_}; }

 private:
  std::array<PlacedPair, 8> pairs_;
  std::size_t count_ = 0;
};

/// The largest magnitude among the output weights of the modes of a piece.
float largest_output(std::span<const CodeMode> piece);

/// The bit-line scales of one mode, all in the units of CodeMode. A unit is the weight that full
/// conductance represents at a position. A has two positions, in the columns of the real and of the
/// imaginary part.
struct ModeUnits {
  float gain = 0, cr = 0, ci = 0;  // units
  float pole_real = 0, pole_imaginary = 0;
  // Units of the columns of the parts of the state and of the output: in rows at full level.
  float real = 0, imaginary = 0, output = 0;
  // The largest increment of either part of the state, divided by the largest code of a row.
  float largest_real = 0, largest_imaginary = 0;
};

/// The bit-line scales of the modes of one channel, divided into pieces.
std::vector<ModeUnits> mode_units(std::span<const CodeMode> channel, bool complex,
                                  const ArrayGeometry& array);

}  // namespace crosstate::analog
