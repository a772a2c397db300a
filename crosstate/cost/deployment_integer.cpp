// The number formats of an integer network, derived from its numbers.
#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "crosstate/cost/deployment.h"
#include "crosstate/kernels/reference/pointwise.h"
#include "crosstate/quant/poles.h"

namespace crosstate {
namespace {

bool is_power_of_two(double x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5;
}

ValueFormat value_format(const CodeFormat& codes) {
  const auto span = static_cast<std::uint32_t>(codes.high - codes.low);
  return {static_cast<int>(std::bit_width(span)), is_power_of_two(codes.scale)};
}

// A factor of a requantizer is a scale times `unit`, known to half a unit of its multiplier.
struct Scale {
  double value = 0, error = 0;  // error: relative
};

// Codes of a row of weights; a row without any does not determine its scale.
using Codes = std::vector<std::int16_t>;
bool row_is_zero(const Codes& codes, std::size_t row, std::size_t rows) {
  const auto columns = static_cast<std::ptrdiff_t>(codes.size() / rows);
  const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(row) * columns;
  return std::all_of(begin, begin + columns, [](int code) { return code == 0; });
}

std::vector<std::int32_t> places(const Requantizer& r) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < r.shift.size(); ++i) out.push_back(r.places(i));
  return out;
}

// The scales behind the factors of the rows that hold a weight, in `codes` or in `others`.
// `places`: what each factor's product loses.
WeightFormat weight_format(int bits, std::span<const std::int32_t> factors,
                           const std::vector<std::int32_t>& places, double unit, const Codes& codes,
                           const Codes& others = {}) {
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
  WeightFormat format;
  format.bits = bits;
  format.scales = std::all_of(scales.begin(), scales.end(), equals_first) ? 1 : factors.size();
  format.powers_of_two = std::all_of(scales.begin(), scales.end(), fits_power_of_two);
  return format;
}

bool is_table_of(Activation f, const std::vector<std::int32_t>& table, const CodeFormat& from,
                 const CodeFormat& to) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double x = (from.low + static_cast<double>(i)) * from.scale;
    const double code = std::floor(reference::activation(f, x) / to.scale + 0.5);
    if (table[i] != std::clamp<double>(code, to.low, to.high)) return false;
  }
  return true;
}

// Cartesian parts of b bits lie on the grid 2^-(b-1).
bool on_cartesian_grid(const std::vector<std::int16_t>& parts, int bits) {
  const int step = 1 << std::max(0, kPoleFraction + 1 - bits);
  return std::all_of(parts.begin(), parts.end(), [&](int part) { return part % step == 0; });
}

BlockFormat block_format(const IntegerNetwork& n, const IntegerBlock& b) {
  BlockFormat f;
  set_shape(b.shape, n.channels, n.modes, f);
  f.a_bits = b.a_bits;
  f.polar = !on_cartesian_grid(b.ar, b.a_bits) || !on_cartesian_grid(b.ai, b.a_bits);
  const double output = b.ssm_output.scale, residual = n.residual.scale;
  f.c = weight_format(b.c_bits, b.output.first, places(b.output), 1 / output, b.cr, b.ci);
  f.d = weight_format(b.d_bits, b.output.second, b.output.shift, residual / output, b.d);
  const Requantizer& linear = n.gated ? b.linear_codes : b.sum;
  const double target = n.gated ? b.linear.scale : residual;
  f.linear = weight_format(b.linear_map.bits, linear.first, places(linear),
                           b.activation.scale / target, b.linear_map.weight);
  f.ssm_output = value_format(b.ssm_output);
  f.activation = value_format(b.activation);
  f.linear_output = value_format(b.linear);
  f.gate = value_format(b.gate);
  for (const Activation ramp : {Activation::kIdentity, Activation::kRelu, Activation::kHardGelu}) {
    f.activation_ramp |= is_table_of(ramp, b.activation_table, b.ssm_output, b.activation);
  }
  f.gate_ramp = !n.gated || is_table_of(Activation::kHardSigmoid, b.gate_table, b.linear, b.gate);
  return f;
}

}  // namespace

Deployment deployment(const IntegerNetwork& n) {
  Deployment d;
  d.inputs = n.inputs;
  d.channels = n.channels;
  d.classes = n.classes;
  d.complex = n.complex;
  d.gated = n.gated;
  d.pool_last = n.pool_last;
  d.input = value_format(n.input);
  d.residual = value_format(n.residual);
  d.encoder = weight_format(n.encoder.bits, n.encoder_codes.first, places(n.encoder_codes),
                            n.input.scale / n.residual.scale, n.encoder.weight);
  d.decoder = weight_format(n.decoder.bits, n.scores.first, n.scores.shift, n.residual.scale,
                            n.decoder.weight);
  d.state_bits = n.state_bits;
  d.state_rounding = n.state_rounding;
  for (const IntegerBlock& b : n.blocks) d.blocks.push_back(block_format(n, b));
  return d;
}

}  // namespace crosstate
