// What a network is made of once it runs on hardware: sizes, and the format of every site. The
// counts of this folder start from it, whichever file a network came from.
#pragma once

#include <cstddef>
#include <vector>

#include "crosstate/integer/network.h"
#include "crosstate/model/network.h"

namespace crosstate {

/// Bits of a number that is not rounded: binary32.
inline constexpr int kFloatWidth = 32;

/// The weights of a site. `bits` = 0: in floating point, without scales.
struct WeightFormat {
  int bits = 0;
  std::size_t scales = 0;
  bool powers_of_two = false;
  bool rounded() const { return bits > 0; }
  int width() const { return rounded() ? bits : kFloatWidth; }
};

/// The codes of a site between two layers. `bits` = 0: in floating point, without a scale.
struct ValueFormat {
  int bits = 0;
  bool powers_of_two = false;
  bool rounded() const { return bits > 0; }
  int width() const { return rounded() ? bits : kFloatWidth; }
};

struct BlockFormat {
  std::size_t channels = 0, modes = 0;  // that the recurrence takes; of all of them
  std::size_t shape_values = 0;         // that tell which these are; 0: every one
  int a_bits = 0;     // of a pole's code: each part, or its decay and phase; 0: floating point
  bool polar = true;  // codes of decay and phase, decoded to fixed point before they multiply
  WeightFormat c, d, linear;
  ValueFormat ssm_output, activation, linear_output, gate;
  bool activation_ramp = false, gate_ramp = false;  // no table: a function of straight pieces
  std::size_t norm_values = 0;                      // of a norm that was not folded
  bool layer_norm = false;                          // whose mean and variance change in every step
  /// Bits of a pole's part as it multiplies.
  int pole_width() const;
};

struct Deployment {
  std::size_t inputs = 0, channels = 0, classes = 0;
  bool complex = true, gated = true, pool_last = false;
  WeightFormat encoder, decoder;
  ValueFormat input, residual;
  int state_bits = 0;  // 0: floating point
  RoundingMode state_rounding = RoundingMode::kNearest;
  std::vector<BlockFormat> blocks;

  std::size_t parts() const { return complex ? 2 : 1; }
  std::size_t outputs() const { return gated ? 2 * channels : channels; }
  /// Whether any of its sites computes in floating point.
  bool in_floats() const;
  int state_width() const { return state_bits > 0 ? state_bits : kFloatWidth; }
  /// Trained weights and biases; B counts as part of C.
  std::size_t weights() const;
  std::size_t biases() const { return channels + blocks.size() * outputs() + classes; }
};

Deployment deployment(const Network& network);

/// What a block's shape says; `channels`, `modes`: of a whole block.
void set_shape(const BlockShape& shape, std::size_t channels, std::size_t modes, BlockFormat& b);

/// From the numbers of an integer network, which does not name its options: scales are told by the
/// multipliers of its requantizers, ramps by its tables, the coding of poles by their grid. Rows
/// whose scales are all equal count as one scale, however they were chosen.
Deployment deployment(const IntegerNetwork& network);

}  // namespace crosstate
