// Complexity metrics of NeuroBench (Yik et al., Nature Communications 16, 1545 (2025); neurobench
// 2.x), counted from the deployed network. The counters of NeuroBench itself hook PyTorch modules:
// they see no operation in the recurrence of an S4D layer and count a fake-quantized weight as four
// bytes.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "crosstate/cost/operations.h"
#include "crosstate/integer/reference.h"

namespace crosstate::cost {

struct NeuroBenchActivity {
  /// Share of zeros among the outputs of activations and gates, over all layers, steps and samples.
  double activation_sparsity = 0;
  /// Share of zeros among the parts of the states; not a metric of NeuroBench.
  double state_sparsity = 0;
  /// Products of a non-zero weight with a non-zero input, per sample.
  double effective_macs = 0;
  double dense_per_sample = 0;
  std::uint64_t samples = 0;
};

struct NeuroBenchMetrics {
  /// Bytes of parameters and buffers: everything that MemorySummary counts, at the bit width of its
  /// codes.
  std::size_t footprint = 0;
  /// Share of zeros among the weights of all connections, including A and C, without biases.
  double connection_sparsity = 0;
  /// Synaptic operations of one execution (a time step, and its share of the read-out): all
  /// products of weights and inputs, including zeros; products of two activations and biases are
  /// not counted.
  double dense = 0;
  /// Measured on the sequences that were run; empty without data. Values are not spikes, so every
  /// effective operation is a multiply-accumulate (Effective_MACs), and Effective_ACs is 0.
  std::optional<NeuroBenchActivity> activity;
};

/// Metrics that need no data; `steps` is the length of a sequence, for the share of the read-out.
NeuroBenchMetrics neurobench_metrics(const model::Network& network, std::uint64_t steps);
NeuroBenchMetrics neurobench_metrics(const integer::IntegerNetwork& network, std::uint64_t steps);

/// Counts of the reference executor since its construction; a sample is one read-out, which is a
/// step if outputs are read at every step.
NeuroBenchActivity measured_activity(const integer::IntegerNetwork& network,
                                     const integer::ReferenceExecutor& executor);
/// Runs the first `samples` sequences of a set, or all if there are fewer.
NeuroBenchActivity measure_activity(const integer::IntegerNetwork& network,
                                    const data::Dataset& set, std::size_t samples);

/// With the names of NeuroBench: "footprint", "connection_sparsity",
/// "synaptic_operations_per_execution": {"Dense"} and, with data, "activation_sparsity" and
/// "synaptic_operations_per_sample": {"Dense", "Effective_MACs", "Effective_ACs"}.
nlohmann::json to_json(const NeuroBenchMetrics& metrics);

}  // namespace crosstate::cost
