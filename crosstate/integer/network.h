// A quantized network as integers, as deployed. docs/arithmetic.md defines their meaning, operation
// by operation; every executor in this folder implements it exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/format.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/integer/scheme.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/model/block_shape.h"
#include "crosstate/task/scope.h"

namespace crosstate::integer {

/// Codes quant_min .. quant_max with a zero point of 0; a code represents code * scale.
struct CodeFormat {
  std::int32_t quant_min = 0, quant_max = 0;
  double scale = 1;
};

/// v 2^-places, rounded to nearest with ties upwards. The shift of a negative number rounds
/// downwards (C++20), so adding half a unit rounds ties up.
constexpr std::int64_t shifted(std::int64_t v, std::int32_t places) {
  return places == 0 ? v : (v + (std::int64_t{1} << (places - 1))) >> places;
}

/// Requantization of one or two accumulators p, q of a row to codes of the next site: (shifted(p,
/// early) first + q second + 2^(shift - 1)) >> shift, saturated. `first` and `second` are
/// fixed-point multipliers.
struct Requantizer {
  std::vector<std::int32_t> first;   // within +-2^24
  std::vector<std::int32_t> second;  // likewise; empty: 0
  std::vector<std::int32_t> shift;   // 1 .. 52
  std::vector<std::int32_t> early;   // 0 .. 32, if p first would not fit in 64 bits; empty: 0

  std::int32_t early_of(std::size_t row) const { return early.empty() ? 0 : early[row]; }
  /// Total shift of p: it is multiplied by first 2^-places.
  std::int32_t places(std::size_t row) const { return shift[row] + early_of(row); }
};

/// A linear layer: accumulators are sums of weights times codes, plus a bias in the same unit.
struct IntegerMatrix {
  std::size_t rows = 0, columns = 0;
  int bits = 0;                      // per weight
  std::vector<std::int16_t> weight;  // [rows][columns]
  std::vector<std::int64_t> bias;    // [rows], within +-2^46
};

/// One block. S of the H channels, N modes in total, O = H or, with a gate, 2H linear outputs.
struct IntegerBlock {
  model::BlockShape shape;
  int a_bits = 0, c_bits = 0, d_bits = 0;  // what a weight's code takes to store
  std::vector<std::int16_t> ar, ai;        // [N], kPoleFraction fraction bits; real: ai empty
  std::vector<std::int32_t> input_shift;   // [N]: B = 2^shift in units of A's last place, 0 .. 30
  std::vector<std::uint8_t>
      residue_bits;                  // [N], 0 .. 14; for a noise-shaped state, otherwise empty
  std::vector<std::int16_t> cr, ci;  // [N]; real: ci empty
  std::vector<std::int16_t> d;       // [S]
  CodeFormat ssm_output, activation, linear, gate;  // the last two are unused without a gate
  Requantizer output;                               // [S] of (sum Re C x, d u) to ssm_output
  std::vector<std::int32_t> activation_table;  // activation code by ssm_output code - quant_min
  IntegerMatrix linear_map;                    // [O][S]
  Requantizer linear_codes;                    // [O] to linear; without a gate empty
  std::vector<std::int32_t> gate_table;        // gate code by linear code - quant_min
  Requantizer sum;  // [H] of (z g, h) to residual; without a gate of (row sum, h)
};

struct IntegerNetwork {
  std::size_t inputs = 0, channels = 0, outputs = 0;
  std::size_t modes = 0;  // largest number of modes of a channel
  bool complex = true, gated = true, pool_last = false;
  bool every_step = false;  // scores are read after every step, from that step alone: pool_last
  CodeFormat input, residual;
  int state_bits = 0;
  std::int32_t state_limit = 0;  // |x| <= state_limit
  kernels::RoundingMode state_rounding = kernels::RoundingMode::kNearest;
  IntegerMatrix encoder;      // [H][inputs]
  Requantizer encoder_codes;  // [H] to residual
  std::vector<IntegerBlock> blocks;
  IntegerMatrix decoder;  // [outputs][H]
  Requantizer scores;     // [outputs]; one shift and only `first`: scores are not requantized
  /// Sums over up to 2^score_steps steps become scores without a shift; sums over more steps are
  /// shifted first, by one place per doubling. -16 .. kEveryLength.
  int score_steps = kEveryLength;
  static constexpr int kEveryLength = 62;
  std::optional<QuantizationScheme> scheme;  // empty for files of earlier versions

  task::Scope scope() const { return every_step ? task::Scope::kStep : task::Scope::kSequence; }
  std::size_t linear_outputs() const { return gated ? 2 * channels : channels; }
  /// Number of places: the smallest e >= 0 with steps <= 2^(score_steps + e).
  std::int32_t early_score_shift(std::int64_t steps) const;
  /// Index of the first mode of a block in the network, which addresses its random draws.
  std::size_t first_mode(std::size_t layer) const;
};

/// The format of the newest version.
inline constexpr FileFormat kIntegerFormat("crosstate integer network", 3);

/// One file with every number and format, of version 3 if the state is noise-shaped or scores are
/// read at every step, otherwise 2; files of version 1 are read too.
/// integer_network_from throws Error naming what is missing, has another shape, or lies outside
/// what docs/arithmetic.md allows: whatever it returns fits 64 bits. Unknown keys are errors, too,
/// and so are residues that the rounding of the state does not have.
formats::Safetensors to_tensors(const IntegerNetwork& network);
IntegerNetwork integer_network_from(const formats::Safetensors& content, const std::string& where);

/// Whether the metadata of a file declare an integer network.
bool is_integer_network(const formats::Safetensors& content);

}  // namespace crosstate::integer
