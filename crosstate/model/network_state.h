// The inside of a Network, for the executors that run or map it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/model/block_shape.h"
#include "crosstate/model/network.h"
#include "crosstate/model/recurrence.h"
#include "crosstate/quant/weights.h"

namespace crosstate::model {

/// Some columns of a matrix, whose products a converter rounds before they join the others.
struct WeightTile {
  std::size_t first = 0, count = 0;
  AlignedFloats weight;  // [O][count]
  AlignedFloats step;    // [O], of the converters
  float high = 0;        // their largest code
};

/// The modes of channels that stand on several arrays: a converter rounds the output of each piece
/// before they are summed.
struct OutputPieces {
  std::vector<std::vector<std::size_t>> cuts;  // [S] of a channel's modes; empty: whole sums
  float step = 0, high = 0;                    // of the converters, and their largest code
};

/// The codes of a block, of which its coefficients are the values, without the noise of training.
/// Empty where a site is not quantized.
struct BlockCodes {
  std::vector<std::int16_t> ar, ai;  // [N], kPoleFraction fraction bits; real: ai zeros
  std::vector<std::int16_t> cr, ci;  // [N] in steps of c_scale; real: ci empty
  std::vector<float> c_scale;        // [S]
  quant::QuantizedTensor d;          // [S]
  quant::QuantizedLinear linear;     // [O][S]
};

/// What one block computes with, after discretisation, rounding and noise. S channels with N modes
/// in all (BlockShape), O = H or 2H linear outputs.
struct BlockCoefficients {
  AlignedFloats ar, ai, b, cr, ci;  // [N]; the state in quantization steps, b = 1 / step
  // [N]: what a code of the input adds to a rounded state, in its codes; otherwise b.
  AlignedFloats gain;
  AlignedFloats d;                   // [S]
  AlignedFloats weight, transposed;  // [O][S], [S][O]
  AlignedFloats bias;                // [O]
  BlockCodes codes;
  AlignedFloats norm_scale,
      norm_shift;  // batch norm as y = scale x + shift, [O]; layer norm's gamma, beta [H]
  // Of conversions while training: deviations by row, [S] and [O]; empty: none.
  AlignedFloats output_noise, linear_noise;
  AlignedFloats state_spread;     // StateRounding::spread, [N][2]; empty: none
  std::vector<WeightTile> tiles;  // of `weight`; empty: whole sums
  OutputPieces pieces;            // of the recurrence's outputs

  /// `count` modes of one channel, from number `at` of the block on.
  kernels::ScanModes scan(std::size_t at, std::size_t count, bool complex, bool has_gain) const {
    return {count,
            ar.data() + at,
            complex ? ai.data() + at : nullptr,
            has_gain ? b.data() + at : nullptr,
            cr.data() + at,
            complex ? ci.data() + at : nullptr};
  }
  /// Of the channel number `s` of the shape.
  kernels::ScanModes scan(const BlockShape& shape, std::size_t s, bool complex,
                          bool has_gain) const {
    return scan(shape.first[s], shape.modes(s), complex, has_gain);
  }
};

/// One rounded activation: codes low .. high times a scale.
struct Quantizer {
  bool on = false;
  float low = 0, high = 0;
  AlignedFloats scale;  // one per row, equal for all rows
  bool passes = false;  // the gradient of values beyond the codes too
  kernels::RangeGradient range_gradient = kernels::RangeGradient::kSteps;
};

/// A function of codes as a table: the rounded value for every code low .. high of its input.
struct CodeTable {
  float low = 0, inverse_scale = 1;
  AlignedFloats values;             // empty: the function is computed
  std::vector<std::int32_t> codes;  // of the values
};

struct BlockQuantizers {
  Quantizer ssm_output, activation, linear, gate;
  CodeTable activation_table, gate_table;  // where both sides of the function are rounded
};

/// All that a forward pass needs, in the order of execution.
struct Coefficients {
  AlignedFloats encoder, encoder_bias;  // [H][inputs], [H]
  AlignedFloats encoder_transposed;     // [inputs][H]; quantized networks only
  std::vector<BlockCoefficients> blocks;
  AlignedFloats decoder, decoder_bias;  // [outputs][H], [outputs]
  quant::QuantizedLinear encoder_codes, decoder_codes;
  Quantizer input, residual;
  std::vector<BlockQuantizers> quantizers;
  kernels::StateRounding rounding;
  AlignedFloats encoder_noise;            // as output_noise, [H]
  std::vector<WeightTile> encoder_tiles;  // as tiles
};

/// Where a block's parameters stand in the list, so that none is looked up by name while training.
struct BlockParameters {
  std::size_t log_dt, log_a, w, b, c, d, weight, bias, gamma, beta;
  std::size_t ssm_output, activation, linear;  // ranges; valid when quantized
  std::size_t c_scale, d_scale, weight_scale;  // valid where the site's scales are learned
};

struct RunningStatistics {
  std::vector<float> mean, variance;  // [O]
};

/// Where the draws of a training step stand.
struct TrainingStep {
  std::uint64_t seed = 0, number = 0;
};

struct Network::State {
  ModelOptions options;
  TaskShape task;
  quant::QuantOptions quant;
  bool quantized = false;
  std::vector<BlockShape> shapes;  // one per block
  std::vector<Parameter> parameters;
  std::size_t encoder, encoder_bias, decoder, decoder_bias, input_range, residual_range;
  std::size_t encoder_scale, decoder_scale;  // valid where the site's scales are learned
  std::vector<BlockParameters> blocks;
  std::vector<RunningStatistics> statistics;    // batch norm only
  std::vector<std::vector<float>> state_steps;  // [layer][N] the least steps, quantized only
  std::vector<int> quant_mins;  // of the range parameters' quantizers, in their order

  std::size_t channels() const { return static_cast<std::size_t>(options.channels); }
  /// The most that a channel has.
  std::size_t modes() const {
    return static_cast<std::size_t>(complex() ? options.states / 2 : options.states);
  }
  bool complex() const { return options.modes == ModeKind::kComplex; }
  bool gated() const { return options.gate != Gate::kNone; }
  bool batch_norm() const { return options.norm == Norm::kBatch; }
  bool layer_norm() const { return options.norm == Norm::kLayer; }
  std::size_t linear_outputs() const { return gated() ? 2 * channels() : channels(); }
  Discretization discretization() const { return options.discretization; }

  /// Throws Error for a batch with other channels than the network has inputs.
  void require_inputs(const data::Batch& batch) const;
  /// Range parameters appear when a network is quantized, behind all others: those of activations,
  /// then learned scales of weights as the formats (`quant`) say.
  void add_ranges();
  /// QuantizedTensor's log_ratios of a site; empty: its scales are not learned.
  std::span<const float> learned_scales(const quant::WeightSite& site,
                                        std::size_t parameter) const {
    if (!site.learned) return {};
    return parameters[parameter].value;
  }
  /// What one code of the residual stream stands for; 1 where it is not quantized.
  float input_scale() const;
  /// C in the units of the states before rounding, as by_channel() orders it.
  std::vector<float> output_weights(std::size_t layer) const;
  /// The quantizer of a range parameter.
  Quantizer quantizer(std::size_t parameter, const quant::ActivationSite& site,
                      std::size_t rows) const;
  /// Number of a block's first mode in the network.
  std::size_t first_mode(std::size_t layer) const;
  /// Of the arrays by mode of a block: [H][M] where all channels have as many, [N] otherwise.
  std::vector<std::uint64_t> mode_shape(std::size_t layer) const;
  /// What one code of a state stands for: a power of two times the scale of its input, so that the
  /// input's gain is a shift; rounded up, since a state that saturates loses its memory.
  double state_step(std::size_t layer, std::size_t i, float input_scale) const;
  /// The gain of a rounded state's input: 2^input_shift in last places of a pole.
  std::int32_t input_shift(std::size_t layer, std::size_t i, float input_scale) const;
  /// The continuous parameters of mode i of a block, which belongs to channel s of its shape.
  ContinuousMode mode(std::size_t layer, std::size_t s, std::size_t i) const;
  /// Discretises, rounds and, in a step of training, disturbs the weights as QuantOptions says.
  Coefficients coefficients(const TrainingStep* step = nullptr) const;
  /// Without noise, and with the tables of rounded functions, which training does not use.
  Coefficients deployed_coefficients() const;
};

/// Values by mode, real and imaginary (null where modes are real), channel by channel: the real
/// parts of a channel, then its imaginary parts.
template <class Value>
std::vector<Value> by_channel(const BlockShape& shape, const Value* real, const Value* imaginary) {
  std::vector<Value> all;
  for (std::size_t s = 0; s < shape.size(); ++s) {
    all.insert(all.end(), real + shape.first[s], real + shape.first[s + 1]);
    if (imaginary == nullptr) continue;
    all.insert(all.end(), imaginary + shape.first[s], imaginary + shape.first[s + 1]);
  }
  return all;
}

/// Of a network without pruned blocks.
std::vector<BlockShape> whole_shapes(const ModelOptions& options);

/// y = table of x. False, and nothing done, where there is no table.
bool look_up(const CodeTable& table, std::size_t rows, std::size_t columns, kernels::ConstRows x,
             kernels::Rows y);

/// Sums of gradients with respect to Coefficients, one of these per group of sequences.
struct BlockGradients {
  std::vector<double> ar, ai, cr, ci, d, weight, bias, gamma, beta;
  double ssm_output = 0, activation = 0, linear = 0;  // by log scale
};
struct Gradients {
  std::vector<double> encoder, encoder_bias, decoder, decoder_bias;
  std::vector<BlockGradients> blocks;
  double input = 0, residual = 0;  // by log scale
  explicit Gradients(const Network::State& state);
  Gradients& operator+=(const Gradients& other);
};

/// Adds the gradients of the coefficients, times `factor`, to those of the parameters.
void backpropagate(const Gradients& gradients, double factor, const Coefficients& coefficients,
                   Network::State& state);

}  // namespace crosstate::model
