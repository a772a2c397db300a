// The integer network (docs/arithmetic.md) as C99: one source file without allocation, floating
// point or recursion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/integer/network.h"

namespace crosstate::exporter {

/// What is known about a network besides its numbers.
struct CNetworkOptions {
  std::string prefix = "model";                // of all names
  std::string origin = "";                     // where the network comes from, for comments
  bool classifier = true;                      // whether the largest output is the answer
  std::vector<std::string> output_names = {};  // empty: none
  std::vector<double> offset = {},
                      scale = {};  // value = offset + scale * output; empty: the output
  /// Real value of one unit of the sensor's integers; empty: no function converts them to codes.
  std::optional<double> unit = std::nullopt;
};

struct CNetwork {
  std::string header, source;     // PREFIX.h, PREFIX.c
  std::size_t table_bytes = 0;    // of constants in flash, on a 32-bit processor
  std::size_t state_bytes = 0;    // of one instance
  std::size_t scratch_bytes = 0;  // of arrays on the stack
  std::uint64_t longest = 0;      // steps that are pooled; 0: any number
};

/// Throws Error naming the network and the reason if it cannot be exported.
CNetwork c_network(const integer::IntegerNetwork& network, const CNetworkOptions& options);

/// The fixed-point form of the code of a sensor's integer v: (v factor + 2^(shift-1)) >> shift.
struct SensorScale {
  std::int64_t factor = 0;  // below 2^31
  int shift = 0;            // 1 .. 62
};
/// For a unit of `steps` codes. Throws Error naming export.unit if no factor represents it.
SensorScale sensor_scale(double steps);

}  // namespace crosstate::exporter
