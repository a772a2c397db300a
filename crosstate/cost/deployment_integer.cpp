// Formats of an integer network: from its scheme or, in files of earlier versions, inferred from
// its values.
#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "crosstate/cost/deployment.h"
#include "crosstate/kernels/reference/pointwise.h"
#include "crosstate/model/options.h"
#include "crosstate/quant/poles.h"

namespace crosstate::cost {
namespace {

// --- inference

bool is_power_of_two(double x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5;
}

quant::ScaleKind scales_of(bool powers_of_two) {
  return powers_of_two ? quant::ScaleKind::kPowerOfTwo : quant::ScaleKind::kFree;
}
quant::ScaleKind scales_of(const integer::CodeFormat& codes) {
  return scales_of(is_power_of_two(codes.scale));
}

// A factor of a requantizer is a scale times `unit`, known to within half a unit of its multiplier.
struct Scale {
  double value = 0, error = 0;  // error: relative
};

// Codes of a row of weights; an empty row does not determine its scale.
using Codes = std::vector<std::int16_t>;
bool row_is_zero(const Codes& codes, std::size_t row, std::size_t rows) {
  const auto columns = static_cast<std::ptrdiff_t>(codes.size() / rows);
  const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(row) * columns;
  return std::all_of(begin, begin + columns, [](int code) { return code == 0; });
}

std::vector<std::int32_t> places(const integer::Requantizer& r) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < r.shift.size(); ++i) out.push_back(r.places(i));
  return out;
}

// The scales of the rows that have a weight, computed from the factors, in `codes` or in `others`.
// `places`: the fraction bits dropped from the product with each factor.
integer::WeightScheme weight_scheme(std::span<const std::int32_t> factors,
                                    const std::vector<std::int32_t>& places, double unit,
                                    const Codes& codes, const Codes& others = {}) {
  const std::size_t rows = factors.size();
  std::vector<Scale> scales;
  for (std::size_t i = 0; i < rows; ++i) {
    if (factors[i] == 0 || (row_is_zero(codes, i, rows) && row_is_zero(others, i, rows))) continue;
    const double factor = std::abs(static_cast<double>(factors[i]));
    scales.push_back({std::ldexp(factor, -places[i]) / unit, 1 / factor});
  }
  const auto equals_first = [&](const Scale& s) {
    const Scale& first = scales[0];
    return std::abs(s.value / first.value - 1) <= s.error + first.error;
  };
  const auto fits_power_of_two = [](const Scale& s) {
    const double nearest = std::exp2(std::round(std::log2(s.value)));
    return std::abs(s.value / nearest - 1) <= s.error;
  };
  const bool one = std::all_of(scales.begin(), scales.end(), equals_first);
  return {one ? quant::Granularity::kTensor : quant::Granularity::kChannel,
          scales_of(std::all_of(scales.begin(), scales.end(), fits_power_of_two))};
}

bool is_table_of(kernels::Activation f, const std::vector<std::int32_t>& table,
                 const integer::CodeFormat& from, const integer::CodeFormat& to) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double x = (from.quant_min + static_cast<double>(i)) * from.scale;
    const double code = std::floor(kernels::reference::activation(f, x) / to.scale + 0.5);
    if (table[i] != std::clamp<double>(code, to.quant_min, to.quant_max)) return false;
  }
  return true;
}

// Cartesian parts of b bits are multiples of 2^-(b-1).
bool on_cartesian_grid(const std::vector<std::int16_t>& parts, int bits) {
  const int step = 1 << std::max(0, quant::kPoleFraction + 1 - bits);
  return std::all_of(parts.begin(), parts.end(), [&](int part) { return part % step == 0; });
}

// All blocks share the settings: the finest format found in any block applies to all.
class SchemeInference {
 public:
  explicit SchemeInference(const integer::IntegerNetwork& network) : n_(network) {}

  integer::QuantizationScheme run() {
    s_.encoder = weight_scheme(n_.encoder_codes.first, places(n_.encoder_codes),
                               n_.input.scale / n_.residual.scale, n_.encoder.weight);
    s_.decoder =
        weight_scheme(n_.scores.first, n_.scores.shift, n_.residual.scale, n_.decoder.weight);
    s_.input = scales_of(n_.input);
    s_.residual = scales_of(n_.residual);
    s_.c = s_.d = s_.weight = {quant::Granularity::kTensor, quant::ScaleKind::kPowerOfTwo};
    s_.coding = quant::PoleCoding::kCartesian;
    s_.ssm_output = s_.activation = s_.linear = quant::ScaleKind::kPowerOfTwo;
    s_.gate_function = model::Gate::kHardSigmoid;
    for (const integer::IntegerBlock& b : n_.blocks) see(b);
    s_.activation_function = ramp_of_all();
    s_.parameters = 0;
    return std::move(s_);
  }

 private:
  static void join(const integer::WeightScheme& of_block, integer::WeightScheme& all) {
    if (of_block.granularity == quant::Granularity::kChannel)
      all.granularity = of_block.granularity;
    join(of_block.scales, all.scales);
  }
  static void join(quant::ScaleKind of_block, quant::ScaleKind& all) {
    if (of_block == quant::ScaleKind::kFree) all = of_block;
  }

  void see(const integer::IntegerBlock& b) {
    const double output = b.ssm_output.scale, residual = n_.residual.scale;
    join(weight_scheme(b.output.first, places(b.output), 1 / output, b.cr, b.ci), s_.c);
    join(weight_scheme(b.output.second, b.output.shift, residual / output, b.d), s_.d);
    const integer::Requantizer& linear = n_.gated ? b.linear_codes : b.sum;
    const double target = n_.gated ? b.linear.scale : residual;
    join(weight_scheme(linear.first, places(linear), b.activation.scale / target,
                       b.linear_map.weight),
         s_.weight);
    const bool cartesian = on_cartesian_grid(b.ar, b.a_bits) && on_cartesian_grid(b.ai, b.a_bits);
    if (!cartesian) s_.coding = quant::PoleCoding::kLogPolar;
    join(scales_of(b.ssm_output), s_.ssm_output);
    join(scales_of(b.activation), s_.activation);
    if (!n_.gated) return;
    join(scales_of(b.linear), s_.linear);
    if (!is_table_of(kernels::Activation::kHardSigmoid, b.gate_table, b.linear, b.gate)) {
      s_.gate_function = model::Gate::kSigmoid;
    }
  }

  kernels::Activation ramp_of_all() const {
    for (const kernels::Activation f : {kernels::Activation::kIdentity, kernels::Activation::kRelu,
                                        kernels::Activation::kHardGelu}) {
      const auto is_table = [&](const integer::IntegerBlock& b) {
        return is_table_of(f, b.activation_table, b.ssm_output, b.activation);
      };
      if (std::all_of(n_.blocks.begin(), n_.blocks.end(), is_table)) return f;
    }
    return kernels::Activation::kGelu;
  }

  const integer::IntegerNetwork& n_;
  integer::QuantizationScheme s_;
};

// --- description

WeightFormat weight_format(int bits, const integer::WeightScheme& scheme, std::size_t rows) {
  return {bits, scheme.granularity == quant::Granularity::kChannel ? rows : 1,
          scheme.scales == quant::ScaleKind::kPowerOfTwo};
}

ValueFormat value_format(const integer::CodeFormat& codes, quant::ScaleKind scales) {
  const auto span = static_cast<std::uint32_t>(codes.quant_max - codes.quant_min);
  return {static_cast<int>(std::bit_width(span)), scales == quant::ScaleKind::kPowerOfTwo};
}

BlockFormat block_format(const integer::IntegerNetwork& n, const integer::IntegerBlock& b,
                         const integer::QuantizationScheme& scheme) {
  BlockFormat f;
  set_shape(b.shape, n.channels, n.modes, f);
  f.a_bits = b.a_bits;
  f.residue_bits = b.residue_bits;
  f.polar = quant::is_decoded(scheme.coding);
  f.increments = scheme.coding == quant::PoleCoding::kIncrement;
  f.c = weight_format(b.c_bits, scheme.c, b.shape.size());
  f.d = weight_format(b.d_bits, scheme.d, b.shape.size());
  f.linear = weight_format(b.linear_map.bits, scheme.weight, n.linear_outputs());
  f.ssm_output = value_format(b.ssm_output, scheme.ssm_output);
  f.activation = value_format(b.activation, scheme.activation);
  f.activation_ramp = is_ramp(scheme.activation_function);
  if (n.gated) {
    f.linear_output = value_format(b.linear, scheme.linear);
    f.gate = value_format(b.gate, quant::ScaleKind::kPowerOfTwo);
    f.gate_ramp = is_ramp(model::gate_of(scheme.gate_function));
  }
  return f;
}

}  // namespace

integer::QuantizationScheme inferred_scheme(const integer::IntegerNetwork& network) {
  return SchemeInference(network).run();
}

Deployment deployment(const integer::IntegerNetwork& n) {
  const integer::QuantizationScheme scheme = n.scheme ? *n.scheme : inferred_scheme(n);
  Deployment d;
  d.inputs = n.inputs;
  d.channels = n.channels;
  d.outputs = n.outputs;
  d.complex = n.complex;
  d.gated = n.gated;
  d.pool_last = n.pool_last;
  d.every_step = n.every_step;
  d.input = value_format(n.input, scheme.input);
  d.residual = value_format(n.residual, scheme.residual);
  d.encoder = weight_format(n.encoder.bits, scheme.encoder, n.channels);
  d.decoder = weight_format(n.decoder.bits, scheme.decoder, n.outputs);
  d.state_bits = n.state_bits;
  d.state_rounding = n.state_rounding;
  for (const integer::IntegerBlock& b : n.blocks) d.blocks.push_back(block_format(n, b, scheme));
  return d;
}

}  // namespace crosstate::cost
