// Options of memristive cells: statistics, programming and faults.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"

namespace crosstate::device {

enum class NoiseBase { kTarget, kGmax };
constexpr auto enum_names(NoiseBase) {
  return std::array{Named{"target", NoiseBase::kTarget}, Named{"gmax", NoiseBase::kGmax}};
}

enum class CmoAcceptance { kStrict, kWide };
constexpr auto enum_names(CmoAcceptance) {
  return std::array{Named{"0.2", CmoAcceptance::kStrict}, Named{"2", CmoAcceptance::kWide}};
}

enum class FreshState { kRead, kProgrammed };
constexpr auto enum_names(FreshState) {
  return std::array{Named{"read", FreshState::kRead}, Named{"programmed", FreshState::kProgrammed}};
}

struct DeviceOptions {
  std::string model = "gaussian";  // a name of device/models.h
  double g_min = 0, g_max = 0;     // uS; 0: the model's own
  // Model gaussian only.
  double programming_noise = 0.02;  // relative standard deviation, drawn once per cell
  double read_noise = 0.01;         // relative standard deviation, drawn at every read
  NoiseBase noise_relative_to = NoiseBase::kTarget;  // target | gmax
  // Other models.
  std::string table;                                  // CSV file of the models table and taox
  CmoAcceptance acceptance = CmoAcceptance::kStrict;  // % of the target, for rram-cmo: 0.2 | 2

  bool drift = true;                     // conductances change with time
  bool flicker = true;                   // 1/f noise
  FreshState fresh = FreshState::kRead;  // at age 0: read | programmed
  double inference_time = 0;  // s; faster 1/f noise is drawn for every inference; 0: all is frozen
  double retention = 0;       // s, mean time until a cell loses its state; 0: never
  double temperature = 300;   // K, temperature at which cells age
  double activation_energy = 0;  // eV; 0: unknown

  bool write_verify = false;  // simulate pulses and reads instead of drawing the published result
  double tolerance = 0.01;    // relative to g_max
  int max_pulses = 30;        // per cell
  double pulse_gain = 0.7;    // share of the remaining difference that a pulse corrects on average
  double pulse_noise = 0.3;   // relative standard deviation of a pulse's step
  double pulse_energy = 10;   // pJ
  double verify_energy = 0.03;  // pJ

  double stuck_low = 0, stuck_high = 0, open = 0;  // shares of all cells
};

/// Binds the fields of section "device".
void fields(FieldList& list, DeviceOptions& options);
/// Throws Error for a value out of range, for values that contradict each other or the model, for
/// values that the model does not use, and for a table that cannot be read. `table` is the text of
/// options.table, which is read if it is empty.
void validate(const DeviceOptions& options, const std::string& table = "");

struct ConductanceRange {
  double low = 0, high = 0;  // uS
};

/// The range of target conductances: g_min and g_max, or those of the model where these are 0. The
/// lowest conductance of a model scales with g_max. Throws Error for a table that cannot be read.
ConductanceRange conductance_range(const DeviceOptions& options);

}  // namespace crosstate::device
