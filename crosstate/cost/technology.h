// Constants of a hardware technology from a TOML file, each a range with unit, process node and
// source.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/cost/range.h"

namespace crosstate::cost {

enum class TargetKind { kMicrocontroller, kAccelerator, kCrossbar };
constexpr auto enum_names(TargetKind) {
  return std::array{Named{"microcontroller", TargetKind::kMicrocontroller},
                    Named{"accelerator", TargetKind::kAccelerator},
                    Named{"crossbar", TargetKind::kCrossbar}};
}

/// Kind of evidence for a constant.
enum class Basis { kMeasured, kSimulated, kDerived, kAssumed, kCalibrated };
constexpr auto enum_names(Basis) {
  return std::array{Named{"measured", Basis::kMeasured}, Named{"simulated", Basis::kSimulated},
                    Named{"derived", Basis::kDerived}, Named{"assumed", Basis::kAssumed},
                    Named{"calibrated", Basis::kCalibrated}};
}

/// One constant of a technology.
struct Constant {
  Range value;
  std::string unit;
  double node = 0;             // nm, of the source; may differ from that of the target
  std::optional<Basis> basis;  // empty only while a file is read
  std::string source;          // the publication and table
};

/// A constant that a kind of target requires.
struct ConstantDefinition {
  const char* name;
  const char* unit;
  const char* meaning;
  bool divides = false;  // used as a divisor, so it must be above 0
};
const std::vector<ConstantDefinition>& constants_of(TargetKind kind);

struct Technology {
  std::string name;     // "crossbar-14nm", or the file
  std::string summary;  // one line
  TargetKind kind = TargetKind::kAccelerator;
  double node = 0;  // nm
  std::map<std::string, Constant> constants;
  /// For a crossbar: pairs of cells in an array; bits of drivers and converters in one product;
  /// bits of a weight stored in a pair of cells.
  int rows = 0, columns = 0, input_bits = 0, output_bits = 0, cell_bits = 0;
  bool floats = true;  // has floating-point units

  const Range& operator[](const std::string& constant) const;
};

/// Reads a technology from TOML: [target] with kind, summary, node and, for crossbars, the array;
/// then one section for every constant of its kind with low, typical, high, unit, node, basis and
/// source. Throws Error naming file and line for an unknown key (with the nearest known one), a
/// wrong unit, low > typical, a negative number or a divisor of 0, and naming the constant that is
/// missing. Crossbars have no floating-point units.
Technology parse_technology(const std::string& toml, const std::string& path);
Technology read_technology(const std::string& path);

/// A shipped technology by name, or a file if the name contains '/' or ends in .toml. Searches the
/// same places as read_mnist_sample(). Throws Error listing the shipped ones.
Technology find_technology(const std::string& name_or_file);
std::vector<std::string> shipped_technologies();
/// The same for the target that runs float networks if the main target cannot; a crossbar is an
/// error as well. `key` names the option.
Technology find_float_target(const std::string& name_or_file, const std::string& key);

/// How energies of digital circuits follow the node: linearly, with its square, or anything between
/// (the range of both, with the linear one as the typical).
enum class Scaling { kLinear, kSquare, kBetween };
/// A digital accelerator scaled to another node, named "same node, N nm". Areas follow the square
/// of the node; its clock and the leakage and waking of its circuits stay. Throws Error for another
/// kind of target.
Technology same_node(const Technology& accelerator, double node,
                     Scaling scaling = Scaling::kBetween);

/// {"name", "kind", "node", "constants": {name: {low, typical, high, unit, node, basis, source}}}
nlohmann::json to_json(const Technology& technology);

}  // namespace crosstate::cost
