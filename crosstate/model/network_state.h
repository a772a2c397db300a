// Internals of a Network, for the executors that run or map it.
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

/// Some columns of a matrix whose partial sums are rounded by a converter before they are added.
struct WeightTile {
  std::size_t first = 0, count = 0;
  AlignedFloats weight;  // [O][count]
  AlignedFloats step;    // [O], of the converters
  float high = 0;        // largest code of the converters
};

/// Modes of channels that are divided over several arrays: a converter rounds the output of each
/// piece before they are added.
struct OutputPieces {
  std::vector<std::vector<std::size_t>>
      cuts;                  // [S], divisions of the modes of a channel; empty: whole sums
  float step = 0, high = 0;  // step and largest code of the converters
};

/// The codes of a block, from which its coefficients are computed, without the noise of training.
/// Empty if a site is not quantized.
struct BlockCodes {
  std::vector<std::int16_t> ar, ai;  // [N], kPoleFraction fraction bits; real: ai zeros
  std::vector<std::int16_t> cr, ci;  // [N] in steps of c_scale; real: ci empty
  std::vector<float> c_scale;        // [S]
  quant::QuantizedTensor d;          // [S]
  quant::QuantizedLinear linear;     // [O][S]
};

/// Coefficients of one block after discretisation, quantization and noise. S channels with N modes
/// in total (BlockShape), O = H or 2H linear outputs.
struct BlockCoefficients {
  AlignedFloats ar, ai, b, cr, ci;  // [N]; the state in quantization steps, b = 1 / step
  // [N]: contribution of one code of the input to a rounded state, in codes of the state; otherwise
  // b.
  AlignedFloats gain;
  AlignedFloats d;                   // [S]
  AlignedFloats weight, transposed;  // [O][S], [S][O]
  AlignedFloats bias;                // [O]
  BlockCodes codes;
  AlignedFloats norm_scale,
      norm_shift;  // batch norm as y = scale x + shift, [O]; layer norm's gamma, beta [H]
  // Of conversions while training: deviations by row, [S] and [O]; empty: none.
  AlignedFloats output_noise, linear_noise;
  AlignedFloats state_spread;              // StateRounding::spread, [N][2]; empty: none
  std::vector<std::uint8_t> residue_bits;  // [N]; for a noise-shaped state, otherwise empty
  std::vector<WeightTile> tiles;           // of `weight`; empty: whole sums
  OutputPieces pieces;                     // of the recurrence's outputs

  /// `count` modes of one channel, from number `at` of the block on.
  kernels::ScanModes scan(std::size_t at, std::size_t count, bool complex, bool has_gain) const {
    return {count,
            ar.data() + at,
            complex ? ai.data() + at : nullptr,
            has_gain ? b.data() + at : nullptr,
            cr.data() + at,
            complex ? ci.data() + at : nullptr};
  }
  /// Modes of the channel with index `s` in the shape.
  kernels::ScanModes scan(const BlockShape& shape, std::size_t s, bool complex,
                          bool has_gain) const {
    return scan(shape.first[s], shape.modes(s), complex, has_gain);
  }
};

/// A quantized activation: codes low .. high times a scale.
struct Quantizer {
  bool on = false;
  float low = 0, high = 0;
  AlignedFloats scale;  // one per row, equal for all rows
  bool passes = false;  // the gradient also passes for values outside the range
  kernels::RangeGradient range_gradient = kernels::RangeGradient::kSteps;
};

/// A function of codes as a table: the quantized value for every code low .. high of its input.
struct CodeTable {
  float low = 0, inverse_scale = 1;
  AlignedFloats values;             // empty: the function is computed
  std::vector<std::int32_t> codes;  // of the values
};

struct BlockQuantizers {
  Quantizer ssm_output, activation, linear, gate;
  CodeTable activation_table, gate_table;  // if input and output of the function are quantized
};

/// All coefficients of a forward pass, in the order of execution.
struct Coefficients {
  AlignedFloats encoder, encoder_bias;  // [H][inputs], [H]
  AlignedFloats encoder_transposed;     // [inputs][H]; quantized networks only
  std::vector<BlockCoefficients> blocks;
  AlignedFloats decoder, decoder_bias;  // [outputs][H], [outputs]
  quant::QuantizedLinear encoder_codes, decoder_codes;
  Quantizer input, residual;
  std::vector<BlockQuantizers> quantizers;
  kernels::StateRounding rounding;
  AlignedFloats encoder_noise;            // like output_noise, [H]
  std::vector<WeightTile> encoder_tiles;  // like tiles
};

/// Indices of the parameters of a block, so that training needs no look-up by name.
struct BlockParameters {
  std::size_t log_dt, log_a, w, b, c, d, weight, bias, gamma, beta;
  std::size_t ssm_output, activation, linear;  // ranges; valid when quantized
  std::size_t c_scale, d_scale, weight_scale;  // valid if the scales of the site are learned
};

struct RunningStatistics {
  std::vector<float> mean, variance;  // [O]
};

/// Addresses of the random draws of a training step.
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
  std::size_t encoder_scale, decoder_scale;  // valid if the scales of the site are learned
  std::vector<BlockParameters> blocks;
  std::vector<RunningStatistics> statistics;  // batch norm only
  std::vector<std::vector<float>>
      state_steps;              // [layer][N] lower bounds of the steps, quantized only
  std::vector<int> quant_mins;  // of the quantizers of the range parameters, in order

  std::size_t channels() const { return static_cast<std::size_t>(options.channels); }
  /// Largest number of modes of a channel.
  std::size_t modes() const {
    return static_cast<std::size_t>(complex() ? options.states / 2 : options.states);
  }
  bool complex() const { return options.modes == ModeKind::kComplex; }
  bool gated() const { return options.gate != Gate::kNone; }
  bool batch_norm() const { return options.norm == Norm::kBatch; }
  bool layer_norm() const { return options.norm == Norm::kLayer; }
  std::size_t linear_outputs() const { return gated() ? 2 * channels() : channels(); }
  Discretization discretization() const { return options.discretization; }

  /// Throws Error for a batch whose number of channels differs from the number of inputs.
  void require_inputs(const data::Batch& batch) const;
  /// Range parameters are added after all others when a network is quantized: those of activations,
  /// then learned scales of weights according to the formats (`quant`).
  void add_ranges();
  /// Whether training changes parameter number `index`: not the range of a site that is not
  /// quantized, or whose range stays as calibrated.
  bool trains(std::size_t index) const;
  /// Whether training draws random numbers: dropout, stochastic rounding, or noise of arrays.
  bool draws() const;
  /// QuantizedTensor::log_ratios of a site; empty: its scales are not learned.
  std::span<const float> learned_scales(const quant::WeightSite& site,
                                        std::size_t parameter) const {
    if (!site.learned) return {};
    return parameters[parameter].value;
  }
  /// The value of one code of the residual stream; 1 if it is not quantized.
  float input_scale() const;
  /// C in the units of the states before rounding, in the order of by_channel().
  std::vector<float> output_weights(std::size_t layer) const;
  /// The quantizer of a range parameter.
  Quantizer quantizer(std::size_t parameter, const quant::ActivationSite& site,
                      std::size_t rows) const;
  /// Index of the first mode of a block in the network.
  std::size_t first_mode(std::size_t layer) const;
  /// Shape of the arrays by mode of a block: [H][M] if all channels have the same number, [N]
  /// otherwise.
  std::vector<std::uint64_t> mode_shape(std::size_t layer) const;
  /// The value of one code of a state: a power of two times the scale of its input, so that the
  /// gain of the input is a shift; rounded up, since a state that saturates loses its memory.
  double state_step(std::size_t layer, std::size_t i, float input_scale) const;
  /// The gain of the input of a rounded state: 2^input_shift in units of the last place of a pole.
  std::int32_t input_shift(std::size_t layer, std::size_t i, float input_scale) const;
  /// The continuous parameters of mode i of a block, which belongs to channel s of its shape.
  ContinuousMode mode(std::size_t layer, std::size_t s, std::size_t i) const;
  /// Discretises and quantizes the weights and, in a training step, adds noise according to
  /// QuantOptions.
  Coefficients coefficients(const TrainingStep* step = nullptr) const;
  /// Without noise, and with the tables of quantized functions, which training does not use.
  Coefficients deployed_coefficients() const;
};

/// Values by mode, real and imaginary (null for real modes), reordered by channel: the real parts
/// of a channel, then its imaginary parts.
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

/// For a network without pruned blocks.
std::vector<BlockShape> whole_shapes(const ModelOptions& options);

/// y = table of x. Returns false, without an effect, if there is no table.
bool look_up(const CodeTable& table, std::size_t rows, std::size_t columns, kernels::ConstRows x,
             kernels::Rows y);

/// Sums of gradients with respect to Coefficients, one object per group of sequences.
struct BlockGradients {
  std::vector<double> ar, ai, cr, ci, d, weight, bias, gamma, beta;
  double ssm_output = 0, activation = 0, linear = 0;  // with respect to the log scale
};
struct Gradients {
  std::vector<double> encoder, encoder_bias, decoder, decoder_bias;
  std::vector<BlockGradients> blocks;
  double input = 0, residual = 0;  // with respect to the log scale
  explicit Gradients(const Network::State& state);
  Gradients& operator+=(const Gradients& other);
};

/// Adds the gradients of the coefficients, times `factor`, to those of the parameters.
void backpropagate(const Gradients& gradients, double factor, const Coefficients& coefficients,
                   Network::State& state);

}  // namespace crosstate::model
