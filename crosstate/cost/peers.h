// Reference sequence models for comparison with an S4D network: LSTM, GRU and a small causal
// Transformer, counted from their equations.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/base/options.h"
#include "crosstate/cost/operations.h"

namespace crosstate::cost {

/// Sizes of the models; 0: the largest with at most as many parameters as the network.
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
  std::uint64_t fixed_macs = 0;       // per time step, independent of its index
  std::uint64_t growing_macs = 0;     // in time step t (from 1): t times this number, in addition
  std::uint64_t end_macs = 0;         // at the end of a sequence
  std::uint64_t fixed_functions = 0;  // exponentials per time step: gates, activations
  std::uint64_t growing_functions =
      0;  // in time step t: t times this number, in addition, for attention
  std::uint64_t state_values = 0;  // kept from step to step
  std::uint64_t cache_values = 0;  // cached for every step
  int weight_bits = 32, state_bits = 32;

  /// The products of attention grow with the square of the sequence length. These two throw Error
  /// on overflow.
  std::uint64_t macs(std::uint64_t steps) const;
  std::uint64_t bit_operations(std::uint64_t steps) const;
  /// Bytes of states and caches after `steps` steps, without weights.
  std::uint64_t state_bytes(std::uint64_t steps) const;
  /// The mean time step of a sequence and its end, for estimate(). With integers, functions count
  /// as look-ups and, in favour of these models, requantisation is not counted.
  OperationSummary operations(std::uint64_t steps) const;
  /// Bits of its parameters, and of its states and caches after `steps` steps.
  double memory_bits(std::uint64_t steps) const;
  bool in_floats() const { return weight_bits == kFloatWidth; }
  /// The same model with a read-out in every time step instead of one at the end.
  PeerCost read_at_every_step() const;
};

/// One layer from inputs to hidden units, and a linear read-out at the end: 4 (H I + H H + H)
/// weights and biases and 3 H element-wise products per step; cell and hidden state are stored.
PeerCost lstm_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits);
/// 3 (H I + H H + H) weights and biases, 3 H element-wise products per step; the hidden state is
/// stored.
PeerCost gru_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits);
/// Causal, L layers of width D with a feed-forward part of 4 D, two layer norms each, sinusoidal
/// positions (no parameters), mean pooling: 12 D D + 13 D parameters per layer. A step attends to
/// all previous ones: 2 D products per previous step and layer; keys and values are stored.
PeerCost transformer_cost(std::uint64_t inputs, std::uint64_t width, std::uint64_t layers,
                          std::uint64_t classes, int bits);

/// All three, with the sizes in the options or the largest with at most `parameters`.
std::vector<PeerCost> peer_costs(const PeerOptions& options, std::uint64_t parameters,
                                 std::uint64_t inputs, std::uint64_t classes);

nlohmann::json to_json(const PeerCost& peer, const std::vector<std::uint64_t>& lengths);

}  // namespace crosstate::cost
