// Energy, latency and area of a network on a hardware target, by part, each as a range.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/cost/operations.h"
#include "crosstate/cost/options.h"
#include "crosstate/cost/technology.h"
#include "crosstate/mapping/mapping.h"

namespace crosstate::cost {

/// A count times `each`, the cost of one operation or component. Every cost of a target is a sum of
/// such terms, so that two networks on one target can be compared under the same constants.
struct CostTerm {
  std::string part;  // "converters"
  std::string what;  // identifies `each` among the terms of a target
  double per_step = 0, at_end = 0;
  Range each;
};

struct CostList {
  std::vector<CostTerm> terms;
  /// Multiplies every term, for example by the energy or duration of a cycle.
  Range factor{1, 1, 1};
  /// Total of a sequence, including its end; with 0 steps, of the end only.
  Range total(double steps) const;
  Range per_step() const;
  Range of_part(const std::string& part, double steps) const;
  std::vector<std::string> parts() const;  // in order of appearance
};

struct Estimate {
  std::string target;
  CostList energy;   // pJ
  CostList latency;  // ns, sequential
  CostList area;     // mm2, all `at_end`
  /// Between time steps: power in uW, all `at_end`, with all arrays and logic idle and the memory
  /// of states, and of weights unless they are non-volatile, retained.
  CostList rest;
  /// Energy in pJ, all `at_end`, to wake from that rest what a time step does not wake by itself.
  CostList wake;
  double operations_per_step = 0;  // two per MAC, those at the end not included
  // Crossbars:
  std::size_t arrays = 0, conversions_per_step = 0, conversions_at_end = 0;
  double utilisation = 0;
  std::optional<IdleArrays> idle = std::nullopt;  // gated or powered

  /// Operations per second and watt in time steps at full rate: 1e12 / J.
  Range tops_per_watt() const;
};

/// Cost on a microcontroller or a digital accelerator. Throws Error for a float network on a target
/// without floating-point units, and for a crossbar.
Estimate estimate(const Deployment& deployment, const OperationSummary& operations,
                  const Technology& technology, const EstimateOptions& options = {});

/// Memory in bits: all, and what a time step leaves for the next (states, caches).
struct MemoryBits {
  double all = 0, states = 0;
};
/// The same for any operations, with the memory that they need.
Estimate estimate(const OperationSummary& operations, const MemoryBits& memory, bool in_floats,
                  const Technology& technology, const EstimateOptions& options = {});

/// Before the names of the constants of that accelerator in the terms of crossbars.
inline constexpr const char* kOfAccelerator = "accelerator: ";

/// Cost on crossbars, as the network is mapped. Of `crossbar` only the placement of weights, the
/// driven rows, the digital sites and the compensation are used; all else is defined by the
/// technology, which with_arrays() makes for other arrays. Digital sites are priced on
/// `accelerator` (null: kDigitalSites), scaled to the node of the crossbars, and take their turn.
/// Throws Error like map_network() and for another kind of target.
Estimate estimate_on_crossbars(const integer::IntegerNetwork& network, std::uint64_t steps,
                               const Technology& technology,
                               const crossbar::CrossbarOptions& crossbar = {},
                               const EstimateOptions& options = {},
                               const Technology* accelerator = nullptr);

/// One product of one array.
struct ArrayUse {
  double rows = 0;     // driven
  double columns = 0;  // converted
  double cells = 0;    // on the driven rows, including idle ones: each has the lowest conductance
  double weight = 0;   // sum of |weight| / largest weight over these cells
  int input_bits = 0;
  /// Of the whole sum; 0: target.output_bits. Sums of slices are converted to that of the target,
  /// or to these if they are more.
  int output_bits = 0;
  int converter_bits = 0;    // no conversion has more; 0: no limit
  double weight_slices = 1;  // adjacent arrays that share the bits of a weight
  double copies = 1;         // copies of those arrays
  double conversions = 1;    // conversions per column over all copies
  /// Bits that are read from and written to the buffers; by default, the inputs of all rows and the
  /// outputs of all columns.
  std::optional<double> read_bits = std::nullopt, written_bits = std::nullopt;
};
/// Number of products that apply `input_bits` with drivers of target.input_bits: one per bit for
/// 1-bit drivers, otherwise one per input_bits - 1 bits of the magnitude.
int input_slices(const Technology& technology, int input_bits);
/// Adds terms for `per_step` and `at_end` such products.
void add_array_product(const Technology& technology, const ArrayUse& use, double per_step,
                       double at_end, CostList& energy);
/// Time of one product with one input slice: rows and converters are pipelined.
Range slice_time(const Technology& technology);
/// Operations per second and watt of full arrays with weights and inputs of 8 bits, which may take
/// several arrays and products, and a mean |weight| of a quarter of the largest: 1e12 / J.
Range full_array_efficiency(const Technology& technology);
/// Area of one array with drivers, converters and digital part.
Range array_area(const Technology& technology);

/// The ratio numerator / denominator of two lists. On the same target the factor cancels, and terms
/// of the same name share their constant, which may have any value in its range: low and high are
/// the smallest and the largest ratio that this allows. On different targets all constants vary
/// independently.
Range ratio(const CostList& numerator, const CostList& denominator, double steps_numerator,
            double steps_denominator, bool same_target);

nlohmann::json to_json(const CostList& list, double steps);
nlohmann::json to_json(const Estimate& estimate, double steps);

}  // namespace crosstate::cost
