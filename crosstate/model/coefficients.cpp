// Computes the coefficients of a forward pass from the parameters.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include "crosstate/analog/bit_line.h"
#include "crosstate/analog/placement.h"
#include "crosstate/analog/steps.h"
#include "crosstate/base/random.h"
#include "crosstate/model/network_state.h"
#include "crosstate/quant/poles.h"
#include "crosstate/quant/weights.h"

namespace crosstate::model {
namespace {

// Gate outputs lie in [0, 1]: unsigned codes in steps of 2^-bits.
Quantizer gate_quantizer(int bits, std::size_t rows) {
  Quantizer q;
  q.on = bits > 0;
  q.high = static_cast<float>(std::exp2(bits) - 1);
  q.scale.assign(rows, static_cast<float>(std::exp2(-bits)));
  return q;
}

// Properties of the arrays for which the network is trained, those of the recurrence in a block
// with these digital sites.
analog::ArrayGeometry geometry_of(const quant::QuantOptions& quant,
                                  const analog::DigitalBlock& block = {}) {
  const auto size = [](int value) { return static_cast<std::size_t>(std::max(value, 0)); };
  return {.rows = size(quant.array.rows),
          .columns = size(quant.array.columns),
          .drive_halvings = quant.array.drive_halvings,
          .kept = quant.noise_recurrence == quant::NoiseRecurrence::kDirect ? 0.0f : 1.0f,
          .states = !block.states,
          .outputs = !block.outputs};
}

// The multiplier of C's codes in channel s.
float output_scale(const BlockCoefficients& block, std::size_t s) {
  return block.codes.c_scale.empty() ? 1.0f : block.codes.c_scale[s];
}

// The scales of the bit lines of a block's recurrence, for the mapped codes.
std::vector<analog::ModeUnits> units_of(const BlockShape& shape, bool complex,
                                        const analog::ArrayGeometry& array,
                                        const BlockCoefficients& block) {
  std::vector<analog::ModeUnits> units;
  std::vector<analog::CodeMode> channel;
  // C in codes if it is quantized.
  const auto part = [](const std::vector<std::int16_t>& codes, const AlignedFloats& values,
                       std::size_t i) {
    return codes.empty() ? values[i] : static_cast<float>(codes[i]);
  };
  for (std::size_t s = 0; s < shape.size(); ++s) {
    channel.clear();
    for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
      analog::CodeMode mode{
          .gain = block.gain[i], .ar = block.ar[i], .cr = part(block.codes.cr, block.cr, i)};
      if (complex) {
        mode.ai = block.ai[i];
        mode.ci = part(block.codes.ci, block.ci, i);
      }
      channel.push_back(mode);
    }
    const std::vector<analog::ModeUnits> of_channel = analog::mode_units(channel, complex, array);
    units.insert(units.end(), of_channel.begin(), of_channel.end());
  }
  return units;
}

// Levels and noise of cells applied to weights. Draws are addressed by the step, or by the chip to
// which the step belongs, and by the matrix.
class Noise {
 public:
  Noise(const quant::QuantOptions& options, const TrainingStep* step)
      : on_(step != nullptr &&
            (options.weight_noise > 0 || options.device_noise > 0 || options.array.levels > 1)),
        levels_(options.array.levels),
        weight_(options.weight_noise),
        device_(options.device_noise),
        by_largest_(options.noise_unit == quant::NoiseUnit::kLargest),
        corrected_(options.noise_recurrence == quant::NoiseRecurrence::kCorrected) {
    if (!on_) return;
    seed_ = step->seed;
    step_ = static_cast<std::uint32_t>(step->number);
    const auto lasts = static_cast<std::uint64_t>(options.chip_steps);
    chip_ = lasts == 0 ? 0 : static_cast<std::uint32_t>(step->number / lasts);
  }

  // A matrix, whose rows are divided into bit lines of up to `most` inputs (0: no limit). Those of
  // a digital site keep their values; the draws of the other sites do not depend on that.
  void disturb(AlignedFloats& matrix, std::size_t rows, std::size_t most, bool digital) {
    if (!on_) return;
    if (digital) {
      ++part_;
      return;
    }
    const std::size_t columns = matrix.size() / rows;
    const std::vector<std::size_t> cut = analog::cuts(columns, most);
    std::vector<float> unit(matrix.size());
    for (std::size_t o = 0; o < rows; ++o) {
      for (std::size_t k = 0; k + 1 < cut.size(); ++k) {
        const std::size_t first = o * columns + cut[k], end = o * columns + cut[k + 1];
        analog::BitLine line;
        for (std::size_t i = first; i < end; ++i) line.add(matrix[i], 1);
        std::fill(unit.begin() + static_cast<std::ptrdiff_t>(first),
                  unit.begin() + static_cast<std::ptrdiff_t>(end), line.unit());
      }
    }
    disturb(matrix, [&](std::size_t i) { return Places{unit[i]}; });
  }

  // The recurrence of a block; `kept`: the part of A that is not stored in cells. D is never stored
  // in cells.
  void disturb(const BlockShape& shape, bool complex, float kept,
               const std::vector<analog::ModeUnits>& units, const analog::DigitalBlock& digital,
               BlockCoefficients& block) {
    if (!on_) return;
    if (digital.states) {
      part_ += 2;
    } else {
      disturb_poles(complex, kept, units, block);
    }
    // Units are in codes: convert them to weights of this network.
    std::vector<float> output(units.size());
    for (std::size_t s = 0; s < shape.size(); ++s) {
      for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
        output[i] = output_scale(block, s);
      }
    }
    if (digital.states) {
      ++part_;
    } else {
      disturb(block.b,
              [&](std::size_t i) { return Places{units[i].gain * (block.b[i] / block.gain[i])}; });
    }
    if (digital.outputs) {
      part_ += 2;
    } else {
      disturb(block.cr, [&](std::size_t i) { return Places{units[i].cr * output[i]}; });
      disturb(block.ci, [&](std::size_t i) { return Places{units[i].ci * output[i]}; });
    }
    disturb(block.d, [](std::size_t) { return Places{}; });
  }

 private:
  void disturb_poles(bool complex, float kept, const std::vector<analog::ModeUnits>& units,
                     BlockCoefficients& block) {
    for (float& a : block.ar) a -= kept;
    disturb(block.ar, [&](std::size_t i) {
      return Places{units[i].pole_real, units[i].pole_imaginary, corrected_};
    });
    disturb(block.ai, [&](std::size_t i) {
      return complex ? Places{units[i].pole_real, units[i].pole_imaginary} : Places{};
    });
    for (float& a : block.ar) a += kept;
    // A pole with noise may leave the unit circle, where gradients grow without bound.
    for (std::size_t i = 0; i < block.ar.size(); ++i) {
      const float size = std::hypot(block.ar[i], block.ai[i]);
      if (size <= 1) continue;
      block.ar[i] /= size;
      block.ai[i] /= size;
    }
  }

  // The weight of full conductance on the one or two pairs that represent a value. With two pairs,
  // whose errors are averaged, each has its own. 0: no pair. `quiet`: the noise is compensated.
  struct Places {
    float first = 0, second = 0;
    bool quiet = false;
  };

  template <class PlacesOf>
  void disturb(AlignedFloats& values, PlacesOf places_of) {
    Random now(seed_, Stream::kWeightNoise, step_, part_);
    Random chip(seed_, Stream::kDeviceNoise, chip_, part_++);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Places places = places_of(i);
      double held = 0, squares = 0, pairs = 0;
      for (const float full : {places.first, places.second}) {
        if (full == 0) continue;
        held += analog::nearest_level(std::abs(values[i]), full, levels_);
        squares += double{full} * full;
        pairs += 1;
      }
      if (pairs > 0) values[i] = static_cast<float>(std::copysign(held / pairs, values[i]));
      double deviation = 0;
      if (weight_ > 0) deviation += weight_ * now.normal();
      if (device_ > 0) deviation += device_ * chip.normal();
      if (!by_largest_) {
        values[i] *= static_cast<float>(1 + deviation);
      } else if (pairs > 0 && !places.quiet) {
        const double size = std::sqrt(squares) / pairs;
        values[i] += static_cast<float>(size) * static_cast<float>(deviation);
      }
    }
  }

  bool on_;
  int levels_;
  double weight_, device_;
  bool by_largest_, corrected_;
  std::uint64_t seed_ = 0;
  std::uint32_t step_ = 0, chip_ = 0, part_ = 0;
};

// The largest value that drives a row.
double largest_of(const Quantizer& codes) {
  return double{codes.scale[0]} * std::max(std::abs(codes.low), std::abs(codes.high));
}

// Noise of the converters of states, in addition to that of stochastic rounding. `input`: codes of
// the input of the block.
void disturb_states(const quant::QuantOptions& quant, const Quantizer& input, float kept,
                    const std::vector<analog::ModeUnits>& units, bool digital,
                    kernels::StateRounding& rounding, BlockCoefficients& block) {
  const quant::ArraySite& array = quant.array;
  if (rounding.limit == 0 || quant.state.residue_bits > 0) return;
  if (array.state_noise == 0 && array.noise_floor == 0) return;
  const float own = quant.state.rounding == quant::StateRounding::kStochastic ? 1.0f : 0.0f;
  rounding.mode = kernels::RoundingMode::kStochastic;
  const bool fitted = array.state_bits > 1 && kept == 1;
  const float drive = analog::recurrent_drive(rounding.limit, input.low, input.high);
  const int missing =
      analog::missing_bits(static_cast<std::uint64_t>(2 * rounding.limit), array.state_bits);
  const auto spread = [&](float largest, float unit) {
    const float codes = fitted ? std::exp2(static_cast<float>(missing)) : 1.0f;
    const float step =
        fitted ? analog::state_converter_step(largest * drive, array.state_bits, codes) : 1;
    const float deviation = std::hypot(static_cast<float>(array.state_noise) * step,
                                       static_cast<float>(array.noise_floor) * unit * drive);
    return digital ? std::sqrt(own) : std::sqrt(own + 12 * deviation * deviation);
  };
  for (const analog::ModeUnits& mode : units) {
    block.state_spread.push_back(spread(mode.largest_real, mode.real));
    block.state_spread.push_back(spread(mode.largest_imaginary, mode.imaginary));
  }
}

// Converters of sums that are computed in `parts`: steps in codes of the next site.
double step_of_parts(const quant::ArraySite& array, const Quantizer& codes, std::size_t parts) {
  if (parts < 2 || array.partial_bits == 0 || !codes.on) return 1;
  return analog::partial_step(codes.low, codes.high, array.partial_bits);
}

// Converters of the sums of a matrix, whose inputs are `driven` and which become `codes`.
// norm_scale: scale of a batch norm, or empty.
void use_arrays(const quant::QuantOptions& quant, const Quantizer& driven, const Quantizer& codes,
                const AlignedFloats& matrix, std::size_t outputs, const AlignedFloats& norm_scale,
                std::vector<WeightTile>& tiles, AlignedFloats& noise) {
  const quant::ArraySite& array = quant.array;
  const std::size_t inputs = matrix.size() / outputs;
  const std::vector<std::size_t> cut = analog::cuts(inputs, geometry_of(quant).rows);
  const std::size_t parts = cut.size() - 1;
  const double coarse = step_of_parts(array, codes, parts);
  // The scale of a batch norm is applied after the converters, with its running statistics.
  const auto norm = [&](std::size_t o) {
    return norm_scale.empty() ? 1.0 : std::abs(double{norm_scale[o]});
  };
  if (!codes.on) return;
  const double of_steps =
      array.noise * coarse * std::sqrt(static_cast<double>(parts)) * double{codes.scale[0]};
  const double floor = driven.on ? array.noise_floor * largest_of(driven) : 0;
  for (std::size_t o = 0; o < outputs && (of_steps > 0 || floor > 0); ++o) {
    double squares = of_steps * of_steps;
    for (std::size_t k = 0; k < parts; ++k) {
      analog::BitLine line;
      for (std::size_t i = cut[k]; i < cut[k + 1]; ++i) line.add(matrix[o * inputs + i], 1);
      squares += std::pow(floor * double{line.unit()} * norm(o), 2);
    }
    noise.push_back(static_cast<float>(std::sqrt(squares)));
  }
  if (parts < 2 || array.partial_bits == 0) return;
  for (std::size_t k = 0; k < parts; ++k) {
    WeightTile tile;
    tile.first = cut[k];
    tile.count = cut[k + 1] - cut[k];
    tile.high = analog::converter_high(array.partial_bits);
    for (std::size_t o = 0; o < outputs; ++o) {
      const float* const from = matrix.data() + o * inputs + tile.first;
      tile.weight.insert(tile.weight.end(), from, from + tile.count);
      const double step = coarse * double{codes.scale[0]};
      tile.step.push_back(static_cast<float>(step / std::max(norm(o), 1e-6)));
    }
    tiles.push_back(std::move(tile));
  }
}

// Converters of the outputs of a recurrence, which become `codes`. A channel without modes has
// none. drive: the largest code of a row.
void use_arrays(const quant::QuantOptions& quant, const Quantizer& codes, const BlockShape& shape,
                bool complex, float drive, const std::vector<analog::ModeUnits>& units,
                const analog::DigitalBlock& digital, BlockCoefficients& block) {
  if (!codes.on || digital.outputs) return;
  const quant::ArraySite& array = quant.array;
  const std::size_t most = analog::modes_of_piece(geometry_of(quant, digital), complex);
  OutputPieces pieces;
  AlignedFloats noise;
  bool several = false;
  for (std::size_t s = 0; s < shape.size(); ++s) {
    pieces.cuts.push_back(analog::cuts(shape.modes(s), most));
    const std::size_t parts = shape.modes(s) == 0 ? 0 : pieces.cuts[s].size() - 1;
    const double of_steps = array.noise * step_of_parts(array, codes, parts) *
                            std::sqrt(static_cast<double>(parts)) * double{codes.scale[0]};
    const double floor = array.noise_floor * double{drive} * double{output_scale(block, s)};
    double squares = of_steps * of_steps;
    for (std::size_t k = 0; k < parts; ++k) {
      const std::size_t mode = shape.first[s] + pieces.cuts[s][k];
      squares += std::pow(floor * double{units[mode].output}, 2);
    }
    noise.push_back(static_cast<float>(std::sqrt(squares)));
    several = several || parts > 1;
  }
  if (array.noise > 0 || array.noise_floor > 0) block.output_noise = std::move(noise);
  if (!several || array.partial_bits == 0) return;
  pieces.high = analog::converter_high(array.partial_bits);
  pieces.step = static_cast<float>(step_of_parts(array, codes, 2) * double{codes.scale[0]});
  block.pieces = std::move(pieces);
}

void assign(AlignedFloats& to, const Parameter& from) {
  to.assign(from.value.begin(), from.value.end());
}

// Quantizes values in place and returns their codes; none if they are not quantized.
quant::QuantizedTensor quantize_in_place(AlignedFloats& values, std::size_t rows,
                                         const quant::WeightSite& site,
                                         std::span<const float> learned) {
  if (site.bits == quant::kFloatBits) return {};
  quant::QuantizedTensor out = quant::quantize_weights(values, rows, site, learned);
  out.dequantize(values);
  return out;
}

// The same for a linear layer. The bias is quantized if both the weights and the input are.
quant::QuantizedLinear quantize_in_place(AlignedFloats& weight, AlignedFloats& bias,
                                         const quant::WeightSite& site,
                                         std::span<const float> learned, const Quantizer& input) {
  quant::QuantizedLinear out{quantize_in_place(weight, bias.size(), site, learned), {}};
  if (site.bits != quant::kFloatBits && input.on) quant::quantize_bias(bias, input.scale[0], out);
  return out;
}

void quantize_all_poles(const BlockShape& shape, const quant::PoleSite& site,
                        const std::vector<DiscreteMode>& modes, BlockCodes& codes) {
  std::vector<std::complex<double>> channel;
  for (std::size_t h = 0; h < shape.size(); ++h) {
    channel.clear();
    for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
      channel.push_back(modes[i].a);
    }
    const quant::QuantizedPoles poles = quant::quantize_poles(channel, site);
    codes.ar.insert(codes.ar.end(), poles.re.begin(), poles.re.end());
    codes.ai.insert(codes.ai.end(), poles.im.begin(), poles.im.end());
  }
}

// The parts of a channel (real and imaginary, or only real) share one scale, since they are added
// in one accumulator.
void quantize_outputs(const BlockShape& shape, const quant::WeightSite& site,
                      std::span<const float> learned, bool complex, BlockCoefficients& block) {
  struct Part {
    AlignedFloats* values;
    std::vector<std::int16_t>* codes;
  };
  std::vector<Part> parts = {{&block.cr, &block.codes.cr}};
  if (complex) parts.push_back({&block.ci, &block.codes.ci});
  const std::vector<float> all =
      by_channel<float>(shape, block.cr.data(), complex ? block.ci.data() : nullptr);
  std::vector<std::int16_t> codes(all.size());
  std::vector<float>& scales = block.codes.c_scale;
  if (site.granularity == quant::Granularity::kChannel) {
    for (std::size_t h = 0; h < shape.size(); ++h) {
      const std::size_t first = parts.size() * shape.first[h];
      const std::size_t count = parts.size() * shape.modes(h);
      scales.push_back(quant::quantize_group(std::span(all).subspan(first, count), site,
                                             std::span(codes).subspan(first, count),
                                             learned.empty() ? nullptr : &learned[h]));
    }
  } else {
    scales.assign(shape.size(), quant::quantize_group(all, site, codes, learned.data()));
  }
  const std::int16_t* from = codes.data();
  for (const Part& part : parts) part.codes->resize(part.values->size());
  for (std::size_t h = 0; h < shape.size(); ++h) {
    for (const Part& part : parts) {
      for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
        (*part.codes)[i] = *from++;
        (*part.values)[i] = quant::dequantized((*part.codes)[i], scales[h]);
      }
    }
  }
}

void recurrence_coefficients(const Network::State& s, std::size_t layer, float input_scale,
                             BlockCoefficients& out) {
  const BlockShape& shape = s.shapes[layer];
  const std::size_t count = shape.modes();
  for (AlignedFloats* v : {&out.ar, &out.ai, &out.b, &out.gain, &out.cr, &out.ci}) {
    v->assign(count, 0);
  }
  const bool state_codes = s.quantized && s.quant.state.bits != quant::kFloatBits;
  std::vector<DiscreteMode> discrete(count);
  for (std::size_t h = 0; h < shape.size(); ++h) {
    for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
      discrete[i] = discretize(s.mode(layer, h, i), s.discretization(), s.complex());
    }
  }
  const bool pole_codes = s.quantized && s.quant.a.bits != quant::kFloatBits;
  if (pole_codes) quantize_all_poles(shape, s.quant.a, discrete, out.codes);
  for (std::size_t i = 0; i < count; ++i) {
    const DiscreteMode& m = discrete[i];
    const double step = s.state_step(layer, i, input_scale);
    out.ar[i] = pole_codes ? quant::pole_value(out.codes.ar[i]) : static_cast<float>(m.a.real());
    out.ai[i] = pole_codes ? quant::pole_value(out.codes.ai[i]) : static_cast<float>(m.a.imag());
    out.b[i] = static_cast<float>(1 / step);
    out.gain[i] = state_codes ? static_cast<float>(input_scale / step) : out.b[i];
    out.cr[i] = static_cast<float>(m.c.real() * step);
    out.ci[i] = static_cast<float>(m.c.imag() * step);
  }
  if (state_codes && s.quant.state.residue_bits > 0) {
    for (std::size_t i = 0; i < count; ++i) {
      out.residue_bits.push_back(quant::residue_bits(s.quant.state, {out.ar[i], out.ai[i]}));
    }
  }
  if (s.quantized && s.quant.c.bits != quant::kFloatBits) {
    quantize_outputs(shape, s.quant.c, s.learned_scales(s.quant.c, s.blocks[layer].c_scale),
                     s.complex(), out);
  }
}

double exact_value(kernels::Activation f, double x) {
  switch (f) {
    case kernels::Activation::kIdentity:
      return x;
    case kernels::Activation::kRelu:
      return std::max(x, 0.0);
    case kernels::Activation::kGelu:
      return x / 2 * std::erfc(-x / std::numbers::sqrt2);
    case kernels::Activation::kHardGelu:
      return x * std::clamp((x + 1.5) / 3, 0.0, 1.0);
    case kernels::Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case kernels::Activation::kHardSigmoid:
      return std::clamp(x / 4 + 0.5, 0.0, 1.0);
  }
  return x;
}

// f for every code of `from`, quantized by `to`; empty unless both are quantized.
CodeTable code_table(const Quantizer& from, const Quantizer& to, kernels::Activation f) {
  CodeTable table;
  if (!from.on || !to.on) return table;
  const double in = from.scale[0], out = to.scale[0];
  table.low = from.low;
  table.inverse_scale = static_cast<float>(1 / in);
  for (double code = from.low; code <= from.high; ++code) {
    const double result = std::clamp(std::floor(exact_value(f, code * in) / out + 0.5),
                                     static_cast<double>(to.low), static_cast<double>(to.high));
    table.codes.push_back(static_cast<std::int32_t>(result));
    table.values.push_back(static_cast<float>(result * out));
  }
  return table;
}

// The power of two that is the value of one code of a state, in codes of its input: such that B is
// an integer in units of A's last place, at most 2^30.
double state_exponent(float least_step, float input_scale) {
  const double exponent = std::ceil(std::log2(least_step / input_scale));
  return std::clamp(exponent, -16.0, 1.0 * quant::kPoleFraction);
}

void transpose(const AlignedFloats& from, std::size_t rows, std::size_t columns,
               AlignedFloats& to) {
  to.resize(from.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
}

}  // namespace

bool look_up(const CodeTable& table, std::size_t rows, std::size_t columns, kernels::ConstRows x,
             kernels::Rows y) {
  if (table.values.empty()) return false;
  kernels::table_forward(table.values.data(), table.values.size(), table.low, table.inverse_scale,
                         rows, columns, x, y);
  return true;
}

Quantizer Network::State::quantizer(std::size_t parameter, const quant::ActivationSite& site,
                                    std::size_t rows) const {
  Quantizer q;
  q.on = site.bits != quant::kFloatBits;
  if (!q.on) return q;
  const int least = quant_mins[parameter - input_range];
  const auto symmetric = static_cast<int>(quant::largest_code(site.bits));
  q.passes = quant.straight_through == quant::StraightThrough::kPass;
  q.range_gradient = quant.range_gradient;
  q.low = static_cast<float>(least);
  q.high = static_cast<float>(least == -symmetric ? symmetric : least + (1 << site.bits) - 1);
  double scale = std::exp(static_cast<double>(parameters[parameter].value[0]));
  if (site.scales == quant::ScaleKind::kPowerOfTwo) scale = quant::nearest_power_of_two(scale);
  q.scale.assign(rows, static_cast<float>(scale));
  return q;
}

float Network::State::input_scale() const {
  if (!quantized || quant.residual.bits == quant::kFloatBits) return 1;
  return quantizer(residual_range, quant.residual, 1).scale[0];
}

std::vector<float> Network::State::output_weights(std::size_t layer) const {
  const BlockShape& shape = shapes[layer];
  const float scale = input_scale();
  std::vector<float> real(shape.modes()), imaginary(shape.modes());
  for (std::size_t h = 0; h < shape.size(); ++h) {
    for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
      const std::complex<double> c = discretize(mode(layer, h, i), discretization(), complex()).c;
      const double step = state_step(layer, i, scale);
      real[i] = static_cast<float>(c.real() * step);
      imaginary[i] = static_cast<float>(c.imag() * step);
    }
  }
  return by_channel<float>(shape, real.data(), complex() ? imaginary.data() : nullptr);
}

std::size_t Network::State::first_mode(std::size_t layer) const {
  std::size_t first = 0;
  for (std::size_t l = 0; l < layer; ++l) first += shapes[l].modes();
  return first;
}

ContinuousMode Network::State::mode(std::size_t layer, std::size_t s, std::size_t i) const {
  const BlockParameters& p = blocks[layer];
  ContinuousMode m;
  m.log_dt = parameters[p.log_dt].value[s];
  m.log_a = parameters[p.log_a].value[i];
  const std::vector<float>& c = parameters[p.c].value;
  if (complex()) {
    m.w = parameters[p.w].value[i];
    m.c = {c[2 * i], c[2 * i + 1]};
    if (options.train_b) m.b = {parameters[p.b].value[2 * i], parameters[p.b].value[2 * i + 1]};
  } else {
    m.c = c[i];
    if (options.train_b) m.b = parameters[p.b].value[i];
  }
  return m;
}

double Network::State::state_step(std::size_t layer, std::size_t i, float input_scale) const {
  if (!quantized || quant.state.bits == quant::kFloatBits) return 1;
  return input_scale * std::exp2(state_exponent(state_steps[layer][i], input_scale));
}

std::int32_t Network::State::input_shift(std::size_t layer, std::size_t i,
                                         float input_scale) const {
  return quant::kPoleFraction -
         static_cast<std::int32_t>(state_exponent(state_steps[layer][i], input_scale));
}

Coefficients Network::State::coefficients(const TrainingStep* step) const {
  const std::size_t H = channels(), O = linear_outputs();
  Noise noise(quant, quantized ? step : nullptr);
  Coefficients out;
  assign(out.encoder, parameters[encoder]);
  assign(out.encoder_bias, parameters[encoder_bias]);
  assign(out.decoder, parameters[decoder]);
  assign(out.decoder_bias, parameters[decoder_bias]);
  if (quantized) {
    out.input = quantizer(input_range, quant.input, static_cast<std::size_t>(task.inputs));
    out.residual = quantizer(residual_range, quant.residual, H);
    out.encoder_codes = quantize_in_place(out.encoder, out.encoder_bias, quant.encoder,
                                          learned_scales(quant.encoder, encoder_scale), out.input);
    out.decoder_codes =
        quantize_in_place(out.decoder, out.decoder_bias, quant.decoder,
                          learned_scales(quant.decoder, decoder_scale), out.residual);
    if (quant.state.bits != quant::kFloatBits) {
      out.rounding.limit = static_cast<float>(quant::largest_code(quant.state.bits));
      out.rounding.mode = quant::rounding_mode(quant.state);
    }
  }
  const float input_scale = out.residual.on ? out.residual.scale[0] : 1.0f;
  const analog::ArrayGeometry array = geometry_of(quant);
  const analog::DigitalSites digital = quant::digital_sites(quant.array);
  noise.disturb(out.encoder, H, array.rows, digital.encoder());
  noise.disturb(out.decoder, out.decoder_bias.size(), array.rows, digital.decoder());
  if (quantized && step != nullptr && !digital.encoder()) {
    use_arrays(quant, out.input, out.residual, out.encoder, H, {}, out.encoder_tiles,
               out.encoder_noise);
  }
  transpose(out.encoder, H, static_cast<std::size_t>(task.inputs), out.encoder_transposed);
  out.blocks.resize(blocks.size());
  out.quantizers.resize(blocks.size());
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const BlockParameters& p = blocks[l];
    BlockCoefficients& block = out.blocks[l];
    BlockQuantizers& q = out.quantizers[l];
    if (quantized) {
      q.ssm_output = quantizer(p.ssm_output, quant.ssm_output, H);
      q.activation = quantizer(p.activation, quant.activation, H);
      if (gated()) {
        q.linear = quantizer(p.linear, quant.linear, O);
        q.gate = gate_quantizer(quant.gate.bits, H);
        q.gate.passes = quant.straight_through == quant::StraightThrough::kPass;
      }
    }
    recurrence_coefficients(*this, l, input_scale, block);
    assign(block.d, parameters[p.d]);
    assign(block.weight, parameters[p.weight]);
    assign(block.bias, parameters[p.bias]);
    if (quantized) {
      block.codes.d =
          quantize_in_place(block.d, shapes[l].size(), quant.d, learned_scales(quant.d, p.d_scale));
      // With a norm, no bias is added to the sums of codes.
      block.codes.linear = quantize_in_place(
          block.weight, block.bias, quant.weight, learned_scales(quant.weight, p.weight_scale),
          options.norm == Norm::kNone ? q.activation : Quantizer());
    }
    // As mapped, before the errors of cells are applied.
    std::vector<analog::ModeUnits> units;
    const analog::DigitalBlock without = digital.block(l);
    if (quantized && step != nullptr) {
      units = units_of(shapes[l], complex(), geometry_of(quant, without), block);
    }
    noise.disturb(shapes[l], complex(), array.kept, units, without, block);
    noise.disturb(block.weight, O, array.rows, without.pointwise);
    transpose(block.weight, O, shapes[l].size(), block.transposed);
    if (layer_norm()) {
      assign(block.norm_scale, parameters[p.gamma]);
      assign(block.norm_shift, parameters[p.beta]);
    } else if (batch_norm()) {
      block.norm_scale.resize(O);
      block.norm_shift.resize(O);
      for (std::size_t o = 0; o < O; ++o) {
        const float scale =
            parameters[p.gamma].value[o] / std::sqrt(statistics[l].variance[o] + 1e-5f);
        block.norm_scale[o] = scale;
        block.norm_shift[o] = parameters[p.beta].value[o] - scale * statistics[l].mean[o];
      }
    }
    if (quantized && step != nullptr) {
      disturb_states(quant, out.residual, array.kept, units, without.states, out.rounding, block);
      const float drive =
          analog::recurrent_drive(out.rounding.limit, out.residual.low, out.residual.high);
      use_arrays(quant, q.ssm_output, shapes[l], complex(), drive, units, without, block);
      if (!without.pointwise) {
        use_arrays(quant, q.activation, gated() ? q.linear : out.residual, block.weight, O,
                   batch_norm() ? block.norm_scale : AlignedFloats(), block.tiles,
                   block.linear_noise);
      }
    }
  }
  return out;
}

Coefficients Network::State::deployed_coefficients() const {
  Coefficients out = coefficients();
  for (BlockQuantizers& q : out.quantizers) {
    q.activation_table = code_table(q.ssm_output, q.activation, options.activation);
    q.gate_table = code_table(q.linear, q.gate, gate_of(options.gate));
  }
  return out;
}

}  // namespace crosstate::model
