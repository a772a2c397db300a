// What a chip does with its parts, as far as it decides the energy of a network.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"

namespace crosstate::cost {

/// Arrays and their converters while another site computes. kAuto: whichever takes less typical
/// energy per time step. Between time steps they are gated, except with kPowered.
enum class IdleArrays { kAuto, kGated, kPowered };
constexpr auto enum_names(IdleArrays) {
  return std::array{Named{"auto", IdleArrays::kAuto}, Named{"gated", IdleArrays::kGated},
                    Named{"powered", IdleArrays::kPowered}};
}

/// Pairs of cells that hold no weight: at the lowest conductance, or never formed (or cut off by
/// their transistors), so that they conduct nothing.
enum class IdleCells { kLow, kOpen };
constexpr auto enum_names(IdleCells) {
  return std::array{Named{"low", IdleCells::kLow}, Named{"open", IdleCells::kOpen}};
}

/// Driven blocks of a recurrent array: one after the other, or all at once. The second requires a
/// row of its own for every level at which a row is driven, and more arrays if these rows do not
/// fit.
enum class BlockDrive { kSequential, kParallel };
constexpr auto enum_names(BlockDrive) {
  return std::array{Named{"sequential", BlockDrive::kSequential},
                    Named{"parallel", BlockDrive::kParallel}};
}

/// Bits of the converters of states that have no residue: those of the codes, or of each column the
/// fewest that read its increments in steps of half a code.
enum class StateConverters { kCodes, kIncrements };
constexpr auto enum_names(StateConverters) {
  return std::array{Named{"codes", StateConverters::kCodes},
                    Named{"increments", StateConverters::kIncrements}};
}

/// Converters of another type than those of the target (converters.h).
enum class ConverterType { kTarget, kSar, kRamp, kFlash, kOscillator };
constexpr auto enum_names(ConverterType) {
  return std::array{Named{"target", ConverterType::kTarget}, Named{"sar", ConverterType::kSar},
                    Named{"ramp", ConverterType::kRamp}, Named{"flash", ConverterType::kFlash},
                    Named{"oscillator", ConverterType::kOscillator}};
}

/// Memory of the weights of a digital accelerator. Non-volatile memory retains them without power,
/// but takes more energy to read.
enum class WeightMemory { kSram, kNonvolatile };
constexpr auto enum_names(WeightMemory) {
  return std::array{Named{"sram", WeightMemory::kSram},
                    Named{"nonvolatile", WeightMemory::kNonvolatile}};
}

struct EstimateOptions {
  IdleArrays idle = IdleArrays::kAuto;                         // auto | gated | powered
  IdleCells idle_cells = IdleCells::kLow;                      // low | open
  BlockDrive blocks = BlockDrive::kSequential;                 // sequential | parallel
  StateConverters state_converters = StateConverters::kCodes;  // codes | increments
  ConverterType converter = ConverterType::kTarget;            // target | sar | ramp | ...
  WeightMemory weights = WeightMemory::kSram;                  // sram | nonvolatile
  int rows = 0, columns = 0;  // word lines and pairs of bit lines of an array; 0: of the target
  int converter_bits = 0;     // largest number of bits of a conversion; 0: no limit
};

/// The accelerator that computes the digital sites of crossbars, unless another one is chosen.
inline constexpr const char* kDigitalSites = "accelerator-45nm";

/// What is priced.
struct InferenceOptions {
  int steps = 0;  // time steps of a sequence; 0: those of the longest one
  std::string accelerator = kDigitalSites;
};

/// Bind fields of section "cost".
void fields(FieldList& list, EstimateOptions& options);
void fields(FieldList& list, InferenceOptions& options);

}  // namespace crosstate::cost
