// Converters of other types than those of a target: what has been published of successive
// approximation, ramps, flash converters and oscillators.
#pragma once

#include <map>
#include <string>

#include "crosstate/cost/options.h"
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

/// Constants of a conversion to `bits` at a node: convert, convert_bit_factor, convert_time,
/// columns_per_converter and convert_area, as in a technology of crossbars.
struct Converter {
  std::string summary;
  double node = 0;  // nm
  int bits = 0;
  std::map<std::string, Constant> constants;

  /// Energy of a conversion to `to` bits in fJ, at the node of the converter.
  Range conversion(int to) const;
};

/// Reads a converter from TOML: [converter] with summary, node and bits, and a section for each of
/// its constants. Throws Error like parse_technology().
Converter parse_converter(const std::string& toml, const std::string& path);
/// The shipped one of a type other than kTarget.
Converter find_converter(ConverterType type);

/// A crossbar with converters of another type, scaled to its node: energies between in proportion
/// to the node and with its square, areas with the square, times unscaled. The area of a converter
/// changes only where the target counts it on its own. kTarget: unchanged. Throws Error for another
/// kind of target.
Technology with_converter(const Technology& crossbar, ConverterType type);

/// `at` bits more or fewer: low and high swap where there are fewer.
Range to_bits(const Range& conversion, const Range& factor, int more);

}  // namespace crosstate::cost
