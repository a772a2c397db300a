// Description of a deployed network: its sizes and the number format of every site. All counts in
// this folder are derived from it, for float, quantized and integer networks alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "crosstate/integer/network.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/network.h"

namespace crosstate::cost {

/// Bits of a number that is not quantized: binary32.
inline constexpr int kFloatWidth = 32;

/// The weights of a site. `bits` = 0: float, without scales.
struct WeightFormat {
  int bits = 0;
  std::size_t scales = 0;
  bool powers_of_two = false;
  bool rounded() const { return bits > 0; }
  int width() const { return rounded() ? bits : kFloatWidth; }
  bool operator==(const WeightFormat&) const = default;
};

/// The codes of a site between two layers. `bits` = 0: float, without a scale.
struct ValueFormat {
  int bits = 0;
  bool powers_of_two = false;
  bool rounded() const { return bits > 0; }
  int width() const { return rounded() ? bits : kFloatWidth; }
  bool operator==(const ValueFormat&) const = default;
};

struct BlockFormat {
  std::size_t channels = 0, modes = 0;  // channels with a recurrence; modes of all of them
  std::size_t shape_values = 0;  // number of stored indices of these; 0: all channels are present
  int a_bits = 0;                // code of a pole: each part, or decay and phase; 0: float
  bool polar = true;  // codes of decay and phase, decoded to fixed point before multiplication
  bool increments = false;                 // codes of A - 1, with a shift for each mode
  std::vector<std::uint8_t> residue_bits;  // [modes], of a noise-shaped state; otherwise empty
  WeightFormat c, d, linear;
  ValueFormat ssm_output, activation;
  ValueFormat linear_output, gate;                  // only with gates
  bool activation_ramp = false, gate_ramp = false;  // piecewise linear function without a table
  std::size_t norm_values = 0;                      // values of a norm that was not folded
  bool layer_norm = false;                          // mean and variance are computed in every step
  /// Bits of a part of a pole as an operand of multiplications.
  int pole_width() const;
  /// Number of modes for every non-zero number of residue bits that occurs.
  std::map<int, std::size_t> residues() const;
  bool operator==(const BlockFormat&) const = default;
};

struct Deployment {
  std::size_t inputs = 0, channels = 0, outputs = 0;
  bool complex = true, gated = true, pool_last = false;
  bool every_step = false;  // the decoder runs in every step, without pooling
  WeightFormat encoder, decoder;
  ValueFormat input, residual;
  int state_bits = 0;  // 0: float
  kernels::RoundingMode state_rounding = kernels::RoundingMode::kNearest;
  std::vector<BlockFormat> blocks;

  std::size_t parts() const { return complex ? 2 : 1; }
  std::size_t linear_outputs() const { return gated ? 2 * channels : channels; }
  /// Whether any site computes in float.
  bool in_floats() const;
  int state_width() const { return state_bits > 0 ? state_bits : kFloatWidth; }
  /// Number of trained weights and biases; B counts as part of C.
  std::size_t weights() const;
  std::size_t biases() const { return channels + blocks.size() * linear_outputs() + outputs; }
  bool operator==(const Deployment&) const = default;
};

Deployment deployment(const model::Network& network);

/// Sizes of a block; `channels`, `modes`: those of an unpruned block.
void set_shape(const model::BlockShape& shape, std::size_t channels, std::size_t modes,
               BlockFormat& b);

/// The same as for the quantized network from which the integer network was converted. If a file of
/// an earlier version lacks the QuantizationScheme, the scheme is inferred from its values.
Deployment deployment(const integer::IntegerNetwork& network);

/// The scheme inferred from the values of an integer network: scales from the multipliers of its
/// requantizers, ramps from its tables, the coding of poles from their grid. Rows with equal scales
/// count as one scale, however they were chosen.
integer::QuantizationScheme inferred_scheme(const integer::IntegerNetwork& network);

/// Whether a function of ModelOptions is piecewise linear and needs no table.
bool is_ramp(kernels::Activation function);

}  // namespace crosstate::cost
