// The size of a crossbar array, how weights are mapped to it, and its converters.
#pragma once

#include <array>
#include <string>

#include "crosstate/analog/digital_sites.h"
#include "crosstate/analog/placement.h"
#include "crosstate/base/named.h"
#include "crosstate/base/options.h"

namespace crosstate::crossbar {

enum class FaultRemap { kNone, kColumns, kCells, kBoth };
constexpr auto enum_names(FaultRemap) {
  return std::array{Named{"none", FaultRemap::kNone}, Named{"columns", FaultRemap::kColumns},
                    Named{"cells", FaultRemap::kCells}, Named{"both", FaultRemap::kBoth}};
}

enum class WeightEncoding { kPair, kOffset };
constexpr auto enum_names(WeightEncoding) {
  return std::array{Named{"pair", WeightEncoding::kPair}, Named{"offset", WeightEncoding::kOffset}};
}

enum class PoleStorage { kIncrement, kDirect };
constexpr auto enum_names(PoleStorage) {
  return std::array{Named{"increment", PoleStorage::kIncrement},
                    Named{"direct", PoleStorage::kDirect}};
}

enum class ChannelPacking { kPacked, kSingle };
constexpr auto enum_names(ChannelPacking) {
  return std::array{Named{"packed", ChannelPacking::kPacked},
                    Named{"single", ChannelPacking::kSingle}};
}

enum class DrivenRows { kBlocks, kAll };
constexpr auto enum_names(DrivenRows) {
  return std::array{Named{"blocks", DrivenRows::kBlocks}, Named{"all", DrivenRows::kAll}};
}

enum class AdcRange { kLearned, kFixed, kCalibrated };
constexpr auto enum_names(AdcRange) {
  return std::array{Named{"learned", AdcRange::kLearned}, Named{"fixed", AdcRange::kFixed},
                    Named{"calibrated", AdcRange::kCalibrated}};
}

enum class IncrementRange { kCodes, kFitted };
constexpr auto enum_names(IncrementRange) {
  return std::array{Named{"codes", IncrementRange::kCodes},
                    Named{"fitted", IncrementRange::kFitted}};
}

enum class Compensation { kNone, kGlobal, kColumn };
constexpr auto enum_names(Compensation) {
  return std::array{Named{"none", Compensation::kNone}, Named{"global", Compensation::kGlobal},
                    Named{"column", Compensation::kColumn}};
}

struct CrossbarOptions {
  int rows = 64;                         // number of word lines
  int columns = 64;                      // number of signed pairs of bit lines
  int levels = 0;                        // conductance levels of a cell; 0: continuous
  int spare_columns = 0;                 // columns kept free
  FaultRemap remap = FaultRemap::kNone;  // of faults: none | columns | cells | both
  int slices = 1;                        // copies of every array (replication, bit slicing)
  double slice_base = 1;                 // significance of a copy relative to the next; 1: equal
  WeightEncoding encoding = WeightEncoding::kPair;   // pair | offset
  PoleStorage recurrence = PoleStorage::kIncrement;  // increment | direct
  ChannelPacking packing = ChannelPacking::kPacked;  // packed | single
  std::string digital = {};                          // sites without arrays, see DigitalSites
  DrivenRows driven =
      DrivenRows::kBlocks;     // rows of a recurrent array that are driven at once: blocks | all
  int ir_drop_iterations = 0;  // of IR-drop compensation of the targets
  int drive_halvings = analog::kDriveHalvings;  // largest number of halvings of a row's level, to
                                                // balance B, A and C; 0: full level

  double read_voltage = 0.2;  // V, of a row driven by the largest code at full level

  int dac_bits = 8;
  double dac_gain_error = 0;   // relative standard deviation over rows
  double dac_inl = 0;          // largest INL of a row, standard deviation, in steps
  double dac_noise = 0;        // rms of a drive, in steps
  double dac_noise_floor = 0;  // rms of a drive at any level, in uV

  int adc_bits = 8;
  int partial_bits = 0;                                     // for partial sums; 0: not rounded
  AdcRange adc_range = AdcRange::kLearned;                  // learned | fixed | calibrated
  IncrementRange increment_range = IncrementRange::kCodes;  // codes | fitted
  double adc_full_scale = 0.25;  // fixed: relative to the largest possible sum
  double adc_margin = 1.1;       // calibrated: relative to the largest observed sum
  double adc_gain_error = 0;     // relative standard deviation over columns
  double adc_offset = 0;         // standard deviation over columns, in steps
  double adc_inl = 0;            // largest INL of a column, standard deviation, in steps
  double adc_noise = 0;          // rms of a conversion, in steps
  double adc_offset_floor = 0;   // standard deviation over columns with any range, in uA
  double adc_noise_floor = 0;    // rms of a conversion with any range, in uA

  Compensation compensation = Compensation::kNone;  // none | global | column
  int compensation_inputs = 128;                    // known inputs that it measures
};

/// Binds the fields of section "crossbar".
void fields(FieldList& list, CrossbarOptions& options);
/// Throws Error for a value out of range.
void validate(const CrossbarOptions& options);

/// The sites that crossbar.digital names.
analog::DigitalSites digital_sites(const CrossbarOptions& options);

/// Placement of weights on such arrays, those of recurrences in a block with these digital sites.
/// Rows that are all driven at once have full level.
analog::ArrayGeometry array_geometry(const CrossbarOptions& options,
                                     const analog::DigitalBlock& block = {});

}  // namespace crosstate::crossbar
