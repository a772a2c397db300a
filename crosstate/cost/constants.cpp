// The constants that a technology file must define, by kind of target.
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

const std::vector<ConstantDefinition>& constants_of(TargetKind kind) {
  static const std::vector<ConstantDefinition> kMicrocontroller = {
      {"clock", "MHz", "clock of the core", true},
      {"cycle_energy", "pJ", "energy per cycle of the whole active chip"},
      {"mac8", "cycles", "a multiply-accumulate of operands of up to 8 bits, loads included"},
      {"mac16", "cycles", "a multiply-accumulate of operands of up to 16 bits, loads included"},
      {"mac_float", "cycles", "a binary32 multiply-accumulate, loads included"},
      {"addition", "cycles", "an addition outside a multiply-accumulate, loads and store included"},
      {"requantisation", "cycles", "a 32-bit multiplication with shift, rounding and clamp"},
      {"rounding", "cycles", "a shift with rounding and clamp"},
      {"look_up", "cycles", "a table look-up"},
      {"function", "cycles", "an exponential or error function in binary32"},
      {"step_overhead", "cycles", "overhead of calls and loops per layer and time step"},
      {"area", "mm2", "area of the whole chip"},
  };
  static const std::vector<ConstantDefinition> kAccelerator = {
      {"clock", "MHz", "clock", true},
      {"lanes", "units", "parallel multipliers", true},
      {"multiply_bit", "fJ", "a multiplication, per product of the operands' bit widths"},
      {"add_bit", "fJ", "an addition, per bit"},
      {"float_multiply", "pJ", "a binary32 multiplication"},
      {"float_add", "pJ", "a binary32 addition"},
      {"function_products", "units",
       "binary32 products and sums in an exponential or error function"},
      {"memory_bit", "fJ", "a read or write of on-chip memory, per bit"},
      {"control", "fJ", "clock and control of a lane, per operation"},
      {"nonvolatile_bit", "fJ", "a read of embedded non-volatile memory, per bit"},
      {"leakage_bit", "pW", "power of memory that retains its content, per bit"},
      {"leakage_area", "uW/mm2", "leakage of powered logic, per area"},
      {"gating", "factor", "leakage of powered logic over that of power-gated logic", true},
      {"wake_area", "pJ/mm2", "waking power-gated logic, per area"},
      {"multiply_area", "um2", "a multiplier, per product of the operands' bit widths"},
      {"add_area", "um2", "an adder, per bit"},
      {"float_area", "um2", "a binary32 multiplier and adder"},
      {"memory_area", "um2", "memory including its share of the periphery, per bit"},
  };
  static const std::vector<ConstantDefinition> kCrossbar = {
      {"read_voltage", "V", "voltage on a driven row"},
      {"cell_low", "uS", "lowest conductance of a cell, that of idle cells"},
      {"cell_high", "uS", "conductance of the largest weight"},
      {"activity", "share", "mean square of the drive relative to the largest drive"},
      {"read_time", "ns", "drive time of the rows per product"},
      {"drive", "fJ", "driving a row in one product"},
      {"convert", "fJ", "a conversion at target.output_bits"},
      {"convert_bit_factor", "factor", "factor of a conversion per additional bit", true},
      {"convert_time", "ns", "a conversion"},
      {"columns_per_converter", "columns", "columns that share a converter", true},
      {"shift_add", "fJ", "shift and addition of a conversion to those of other slices"},
      {"multiply_bit", "fJ", "a digital multiplication, per product of the operands' bit widths"},
      {"add_bit", "fJ", "a digital addition, per bit"},
      {"memory_bit", "fJ", "a read or write of the buffers between arrays, per bit"},
      {"digital_time", "ns", "digital work between two products"},
      {"array_active", "uW",
       "power of an array while it computes, besides the energies of its parts"},
      {"array_idle", "uW", "power of an array that is powered but does not compute"},
      {"leakage_bit", "pW", "power of memory that retains its content, per bit"},
      {"leakage_area", "uW/mm2", "leakage of powered circuits, per area"},
      {"gating", "factor", "leakage of powered circuits over that of power-gated ones", true},
      {"wake_area", "pJ/mm2", "waking a power-gated array, per area"},
      {"wake_time", "ns", "time until a power-gated array can compute"},
      {"array_area", "um2", "the cells of an array and everything that is not counted below"},
      {"drive_area", "um2", "the driver of a row"},
      {"convert_area", "um2", "a converter"},
      {"digital_area", "um2", "digital part and buffers of an array"},
  };
  switch (kind) {
    case TargetKind::kMicrocontroller:
      return kMicrocontroller;
    case TargetKind::kAccelerator:
      return kAccelerator;
    case TargetKind::kCrossbar:
      break;
  }
  return kCrossbar;
}

}  // namespace crosstate::cost
