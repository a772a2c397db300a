// Placement of an integer network on crossbar arrays.
//
// Recurrence. A channel of M modes is a block of an array. Its rows are driven by the input u and
// the 2 M states (M for real modes); its columns carry the next states and C x:
//
//                 x' (2 M columns)   C x
//   u             b
//   x (2 M rows)  A                  c
//
// y_k depends on the *new* state, so a time step takes two products of the same array: in the first
// the rows carry [u_k, x_{k-1}] and the state columns are converted, which rounds the state; in the
// second the rows carry x_k and the C x columns are converted. Every column is converted once per
// step. With driven blocks, each product is divided into one per mode, or channel, of the array:
// all other rows are grounded, so that errors of their cells do not affect the sums. The drive
// levels of the rows then balance the magnitudes of B, A and C to the nearest power of two. Blocks
// share an array along its diagonal, or have one array each (crossbar.packing). A channel with more
// states than an array holds is divided between modes, which are independent: only C x then needs a
// digital sum over the pieces.
//
// With crossbar.digital, A or C of a block is computed in integers. An array then has only C, whose
// rows are the states, or only A and b.
//
// Encoder, pointwise layers and decoder are matrices, divided into tiles of the size of an array;
// tiles of the same outputs are summed digitally. Converters add the biases, and the skip D u,
// whose scale differs from that of C x.
//
// All rows are driven by integers, the codes of states and activations; the weights are those of
// the network in units of its accumulators.
#pragma once

#include <cstddef>
#include <vector>

#include "crosstate/analog/bit_line.h"
#include "crosstate/crossbar/options.h"
#include "crosstate/integer/network.h"

namespace crosstate::mapping {

enum class Site { kEncoder, kRecurrence, kLinear, kDecoder };

/// A part of a channel on an array: some of its modes. Piece i has its input on row i, its states
/// on rows input_rows + state and columns `state`, and its output on column state_columns + i.
/// Complex modes have two states each, real part first.
struct Piece {
  std::size_t channel = 0;  // index among the channels of the block's recurrence, see BlockShape
  std::size_t first_mode = 0, modes = 0;
  std::size_t state = 0;  // first state of this piece
};

struct MappedArray {
  Site site = Site::kEncoder;
  std::size_t layer = 0;              // for recurrence and linear
  std::size_t rows = 0, columns = 0;  // driven and read, starting at the corner of the array
  std::vector<float> weights;         // [rows][columns], 0 on idle pairs
  std::vector<float> drive;           // levels of rows by column, see ArrayPlan; empty: 1
  std::size_t used = 0;               // pairs that hold a weight
  // Recurrence:
  std::size_t states = 0;  // rows of states
  std::vector<Piece> pieces;
  // The number of pieces and of states, or 0 if A is digital.
  std::size_t input_rows = 0, state_columns = 0;
  std::size_t output_columns = 0;  // the number of pieces, or 0 if C is digital
  // Matrices: position of this tile.
  std::size_t first_input = 0, first_output = 0;

  /// The drive level of a row while a column is read; 0 if the row is grounded.
  float level(std::size_t row, std::size_t column) const {
    return drive.empty() ? 1 : drive[row * columns + column];
  }
  /// The weights of a column, without grounded rows.
  analog::BitLine line(std::size_t column) const {
    analog::BitLine line;
    for (std::size_t r = 0; r < rows; ++r) {
      if (level(r, column) > 0) line.add(weights[r * columns + column], level(r, column));
    }
    return line;
  }
};

struct Mapping {
  std::vector<MappedArray>
      arrays;  // encoder, then recurrence and linear of each layer, then decoder
  std::size_t pairs_per_array = 0;
  /// Copies of every array (crossbar.slices), and conversions per sum: one if the currents of the
  /// copies are added, one per copy if they are weighted digitally.
  std::size_t copies = 1, conversions_of_weight = 1;
  /// Products per class score. Pooled values, and sometimes codes, have more bits than a DAC: they
  /// are applied in slices of dac_bits - 1 bits and a sign, one product each, or of fewer bits if
  /// sums of such slices would not be exact in binary32.
  std::size_t decoder_slices = 1;
  int decoder_bits = 8;            // of a slice, including its sign
  bool decoder_each_step = false;  // IntegerNetwork::every_step
  /// The same in a time step: for the encoder, for the rows of states and u, and for the
  /// activations.
  std::size_t input_slices = 1, state_slices = 1, activation_slices = 1;

  /// Number of physical arrays, including copies.
  std::size_t built() const { return arrays.size() * copies; }
  /// Number of pairs that hold a weight, on one copy.
  std::size_t used_pairs() const;
  /// Share of pairs that hold a weight, over all arrays; independent of the number of copies.
  double utilisation() const;
  /// Analog-to-digital conversions per time step, and at the end of a sequence.
  std::size_t conversions_per_step() const;
  std::size_t conversions_per_sequence() const;
  /// Consecutive products of array `number`: per time step or, for the decoder, per sequence; each
  /// is repeated for the input slices of its site.
  std::size_t products(std::size_t number) const;
  /// Indices of the arrays of one site, in order.
  std::vector<std::size_t> of(Site site, std::size_t layer = 0) const;
};

/// Throws Error for a network whose states are rounded stochastically, and for digital sites that
/// the network does not have or that leave nothing for arrays. `length`: time steps of the
/// longest sequence, which determines the width of pooled values.
Mapping map_network(const integer::IntegerNetwork& network,
                    const crossbar::CrossbarOptions& crossbar, std::size_t length);

}  // namespace crosstate::mapping
