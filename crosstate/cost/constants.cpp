// The constants that a technology file must define, by kind of target.
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

const std::vector<ConstantDefinition>& constants_of(TargetKind kind) {
  static const std::vector<ConstantDefinition> kMicrocontroller = {
      {"clock", "MHz", "clock of the core", true},
      {"cycle_energy", "pJ", "energy of a cycle of the whole chip while it computes"},
      {"mac8", "cycles", "a multiply-accumulate of operands of up to 8 bits, loads included"},
      {"mac16", "cycles", "a multiply-accumulate of operands of up to 16 bits, loads included"},
      {"mac_float", "cycles", "a binary32 multiply-accumulate, loads included"},
      {"addition", "cycles", "an addition outside a multiply-accumulate, loads and store included"},
      {"requantisation", "cycles", "a 32-bit multiplication with shift, rounding and clamp"},
      {"rounding", "cycles", "a shift with rounding and clamp"},
      {"look_up", "cycles", "an entry of a table"},
      {"function", "cycles", "an exponential or error function in binary32"},
      {"step_overhead", "cycles", "calls and loops of one layer in one time step"},
      {"area", "mm2", "the whole chip"},
  };
  static const std::vector<ConstantDefinition> kAccelerator = {
      {"clock", "MHz", "clock", true},
      {"lanes", "units", "multipliers that work in parallel", true},
      {"multiply_bit", "fJ", "a multiplication per product of its operands' bits"},
      {"add_bit", "fJ", "an addition per bit"},
      {"float_multiply", "pJ", "a binary32 multiplication"},
      {"float_add", "pJ", "a binary32 addition"},
      {"function_products", "units",
       "binary32 products and sums in an exponential or error function"},
      {"memory_bit", "fJ", "a bit read from or written to on-chip memory"},
      {"leakage_bit", "pW", "static power of a bit of memory"},
      {"multiply_area", "um2", "a multiplier per product of its operands' bits"},
      {"add_area", "um2", "an adder per bit"},
      {"float_area", "um2", "a binary32 multiplier and adder"},
      {"memory_area", "um2", "a bit of memory with its share of the periphery"},
  };
  static const std::vector<ConstantDefinition> kCrossbar = {
      {"read_voltage", "V", "voltage on a driven row"},
      {"cell_low", "uS", "least conductance of a cell, that of idle ones"},
      {"cell_high", "uS", "conductance of the largest weight"},
      {"activity", "share", "mean square of the drive over its largest"},
      {"read_time", "ns", "drive time of the rows per product"},
      {"drive", "fJ", "a row driven in one product"},
      {"convert", "fJ", "a conversion at target.output_bits"},
      {"convert_bit_factor", "factor", "a conversion with one bit more", true},
      {"convert_time", "ns", "a conversion"},
      {"columns_per_converter", "columns", "columns that share a converter", true},
      {"shift_add", "fJ", "a conversion shifted and added to those of other slices"},
      {"multiply_bit", "fJ", "a digital multiplication per product of its operands' bits"},
      {"add_bit", "fJ", "a digital addition per bit"},
      {"memory_bit", "fJ", "a bit written to or read from the buffers between arrays"},
      {"digital_time", "ns", "digital work between two products"},
      {"array_static", "uW", "static power of an array with its periphery"},
      {"array_area", "um2", "the cells of an array and everything not counted below"},
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
