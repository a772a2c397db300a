// The size of a crossbar array, how weights are mapped to it, and its converters.
#pragma once

#include <string>

#include "crosstate/analog/placement.h"
#include "crosstate/base/options.h"

namespace crosstate {

struct CrossbarOptions {
  int rows = 64;                         // of signed pairs: word lines
  int columns = 64;                      // of signed pairs: two bit lines each
  int levels = 0;                        // conductance levels of a cell; 0: continuous
  int spare_columns = 0;                 // of them, kept free
  std::string remap = "none";            // of faults: none | columns | cells | both
  int slices = 1;                        // copies of every array (replication)
  double slice_base = 1;                 // significance of a copy relative to the next; 1: equal
  std::string encoding = "pair";         // pair | offset
  std::string recurrence = "increment";  // increment | direct
  std::string packing = "packed";        // packed | single
  std::string driven = "blocks";         // rows of a recurrent array at once: blocks | all
  int ir_drop_iterations = 0;            // of IR-drop compensation of the targets
  int drive_halvings = kDriveHalvings;   // of a row's level, to balance B, A and C; 0: full level

  int dac_bits = 8;
  double dac_gain_error = 0;  // relative standard deviation over rows
  double dac_inl = 0;         // largest INL of a row, standard deviation, in steps
  double dac_noise = 0;       // rms of a drive, in steps

  int adc_bits = 8;
  int partial_bits = 0;                   // of converters of partial sums; 0: not rounded
  std::string adc_range = "learned";      // learned | fixed | calibrated
  std::string increment_range = "codes";  // codes | fitted
  double adc_full_scale = 0.25;           // fixed: share of the largest possible sum
  double adc_margin = 1.1;                // calibrated: times the largest sum seen
  double adc_gain_error = 0;              // relative standard deviation over columns
  double adc_offset = 0;                  // standard deviation over columns, in steps
  double adc_inl = 0;                     // largest INL of a column, standard deviation, in steps
  double adc_noise = 0;                   // rms of a conversion, in steps

  std::string compensation = "none";  // none | global | column
};

/// Binds the fields of section "crossbar".
void fields(FieldList& list, CrossbarOptions& options);
/// Throws Error for a value out of its range.
void validate(const CrossbarOptions& options);

/// How weights are placed on such arrays. Rows that are all driven at once have the full level.
ArrayGeometry array_geometry(const CrossbarOptions& options);

}  // namespace crosstate
