// Reference sequence models to compare with an S4D network: LSTM, GRU and a small causal
// Transformer, counted from their equations.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/cost/operations.h"

namespace crosstate::cost {

/// Sizes of the peers; 0: as large as the network's number of parameters allows.
struct PeerOptions {
  int lstm = 0, gru = 0;  // hidden units of one layer
  int transformer = 0;    // width
  int transformer_layers = 2;
  int bits = 32;  // of weights, states and activations
};
/// Binds the fields of section "peers".
void fields(FieldList& list, PeerOptions& options);

/// The costs of one model.
struct PeerCost {
  std::string name;  // "LSTM, 48 units"
  std::uint64_t parameters = 0;
  std::uint64_t fixed_macs = 0;         // of a time step, whatever its number
  std::uint64_t growing_macs = 0;       // of time step t (from 1): t times as many more
  std::uint64_t end_macs = 0;           // at the end of a sequence
  std::uint64_t fixed_functions = 0;    // exponentials of a time step: gates, activations
  std::uint64_t growing_functions = 0;  // of time step t: t times as many more, for attention
  std::uint64_t state_values = 0;       // kept from step to step
  std::uint64_t cache_values = 0;       // cached for every step
  int weight_bits = 32, state_bits = 32;

  /// Attention's products grow with the square of the sequence. These two throw Error if they are
  /// more than can be counted.
  std::uint64_t macs(std::uint64_t steps) const;
  std::uint64_t bit_operations(std::uint64_t steps) const;
  /// Bytes of states and caches after `steps` steps, without weights.
  std::uint64_t state_bytes(std::uint64_t steps) const;
  /// The mean time step of a sequence and its end, for estimate(); whole numbers take look-ups for
  /// functions and, in the peers' favour, no requantisation.
  OperationSummary operations(std::uint64_t steps) const;
  /// Bits of its parameters, and of its states and caches after `steps` steps.
  double memory_bits(std::uint64_t steps) const;
  bool in_floats() const { return weight_bits == kFloatWidth; }
};

/// One layer, inputs to hidden units, and a linear read-out at the end: 4 (H I + H H + H) weights
/// and biases and 3 H element-wise products a step; the cell and the hidden state are kept.
PeerCost lstm_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits);
/// 3 (H I + H H + H), 3 H element-wise products a step; the hidden state is kept.
PeerCost gru_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits);
/// Causal, L layers of width D with a feed-forward part of 4 D, two layer norms each, sinusoidal
/// positions (no parameters), mean pooling: 12 D D + 13 D parameters a layer. A step attends to all
/// before it: 2 D products per earlier step and layer; their keys and values are kept.
PeerCost transformer_cost(std::uint64_t inputs, std::uint64_t width, std::uint64_t layers,
                          std::uint64_t classes, int bits);

/// The three, of the sizes that the options name or the largest with at most `parameters`.
std::vector<PeerCost> peer_costs(const PeerOptions& options, std::uint64_t parameters,
                                 std::uint64_t inputs, std::uint64_t classes);

nlohmann::json to_json(const PeerCost& peer, const std::vector<std::uint64_t>& lengths);

}  // namespace crosstate::cost
