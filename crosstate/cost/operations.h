// Operations of a network per time step and at the end of a sequence, by site.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/cost/deployment.h"

namespace crosstate::cost {

enum class Operation {
  kEncoder,
  kPoles,
  kResidue,
  kOutputs,
  kSkip,
  kActivation,
  kLinear,
  kNorm,
  kGate,    // the activation of the gate
  kGating,  // the product with it
  kResidual,
  kPooling,
  kDecoder,
  kPeer  // all of a network of another kind
};

/// Counts of one site per execution. Complex modes count real operations.
struct OperationSite {
  Operation operation = Operation::kEncoder;
  std::size_t block = 0;  // for operations of a block
  bool at_end = false;    // once per sequence, not in every time step
  std::uint64_t macs = 0;
  int weight_bits = 0, input_bits = 0;  // operands of a product; 32: float
  std::uint64_t weights = 0;            // stored values read by its products
  std::uint64_t moved_bits = 0;         // inputs, outputs, states, biases and table entries
  std::uint64_t additions = 0;          // other than those of products
  int addition_bits = 0;
  std::uint64_t requantisations = 0;  // products with a 24-bit multiplier, then shift and clamp
  std::uint64_t roundings = 0;        // only shift and clamp
  std::uint64_t look_ups = 0;         // table look-ups
  std::uint64_t functions = 0;        // exponentials and error functions in float
  bool in_floats = false;             // its products and additions are in float

  /// For example "encoder" or "layers.0.A".
  std::string name() const;
  /// macs x weight_bits x input_bits.
  std::uint64_t bit_operations() const;
  /// The same with every requantisation as a product of kMultiplierWidth x kAccumulatorWidth bits.
  std::uint64_t bit_operations_with_scaling() const;
};

inline constexpr int kMultiplierWidth = 24, kAccumulatorWidth = 32;

struct OperationSummary {
  std::vector<OperationSite> sites;

  /// Sums of a count over the sites of a time step, or of the end of a sequence.
  template <class Count>
  std::uint64_t per_step(Count count) const {
    return sum(count, false);
  }
  template <class Count>
  std::uint64_t at_end(Count count) const {
    return sum(count, true);
  }
  template <class Count>
  std::uint64_t per_inference(Count count, std::uint64_t steps) const {
    return steps * per_step(count) + at_end(count);
  }
  std::uint64_t macs_per_step() const { return per_step(&OperationSite::macs); }
  std::uint64_t bit_operations(std::uint64_t steps) const {
    return per_inference(&OperationSite::bit_operations, steps);
  }

 private:
  template <class Count>
  std::uint64_t sum(Count count, bool end) const {
    std::uint64_t total = 0;
    for (const OperationSite& site : sites) {
      if (site.at_end == end) total += std::invoke(count, site);
    }
    return total;
  }
};

/// A time step: encoder; in each block the poles (4 real products per complex mode, 1 per real
/// one), the gain of the input (a shift and an addition per mode), the residue of a noise-shaped
/// state (an addition and a rounding per part), C (2 or 1), D, the activation, the pointwise layer,
/// the gate (a product of two activations), the residual sum; the pooling sum.
/// At the end of a sequence of `steps`: the decoder, on pooled sums of the required width; if the
/// network is read at every step, the decoder is part of the time step. Poles count with the bits
/// of their multiplication, 16 if they are decoded from polar codes. Biases initialise accumulators
/// and cost nothing. Throws Error if a count overflows.
OperationSummary count_operations(const Deployment& deployment, std::uint64_t steps);

/// Throws Error naming cost.steps if a count (computed as double) is 2^63 or more; `what` is, for
/// example, "bit operations of the network".
void require_countable(double count, std::uint64_t steps, const std::string& what);

/// Working memory of a time step in bytes: states, pooled sums, and the buffers of one block: its
/// input and activation codes, and the accumulators of its pointwise layer at 32 bits.
std::size_t peak_ram(const Deployment& deployment);

/// {"sites": [...], "per_step": {...}, "per_inference": {...}}
nlohmann::json to_json(const OperationSummary& operations, std::uint64_t steps);

}  // namespace crosstate::cost
