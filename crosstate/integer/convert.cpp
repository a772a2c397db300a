#include "crosstate/integer/convert.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/model/network_state.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer {
namespace {

constexpr int kMultiplierBits = 24, kMostShift = 52, kMostEarly = 32;

CodeFormat format_of(const model::Quantizer& q, const std::string& where) {
  if (!q.on) return {0, 1, 1};
  require_scale(q.scale[0], where);
  return {static_cast<std::int32_t>(q.low), static_cast<std::int32_t>(q.high), q.scale[0]};
}

[[noreturn]] void refuse_scale(const std::string& where, double ratio) {
  fail(where,
       "the requantization multiplier is " + std::to_string(ratio) + ", expected less than 2^23");
}

// The shift for which a ratio uses all 24 bits, as far as possible.
int shift_of(double ratio, const std::string& where) {
  if (ratio == 0) return kMostShift;
  if (!std::isfinite(ratio)) refuse_scale(where, ratio);
  const int shift = std::min(kMostShift, kMultiplierBits - 1 - std::ilogb(ratio));
  if (shift < 1) refuse_scale(where, ratio);
  return shift;
}

// Multipliers and shift nearest to the ratios of scales; the larger multiplier uses all 24 bits. If
// a product would not fit in 64 bits, the first accumulator is shifted before the multiplication.
class RequantizerBuilder {
 public:
  RequantizerBuilder(std::string where, bool two) : where_(std::move(where)), two_(two) {}

  // p, q: bounds of the accumulators.
  void add(std::int64_t p, double first, std::int64_t q = 0, double second = 0) {
    const std::size_t row = out_.first.size();
    out_.first.push_back(0);
    if (two_) out_.second.push_back(0);
    out_.shift.push_back(0);
    out_.early.push_back(0);
    for (int early = 0; early <= kMostEarly; ++early) {
      const double of_shifted = std::ldexp(first, early);
      const int shift = shift_of(std::max(std::abs(of_shifted), std::abs(second)), where_);
      out_.first[row] = static_cast<std::int32_t>(std::llround(std::ldexp(of_shifted, shift)));
      if (two_)
        out_.second[row] = static_cast<std::int32_t>(std::llround(std::ldexp(second, shift)));
      out_.shift[row] = shift;
      out_.early[row] = early;
      if (fits_64_bits(out_, row, p, q)) return;
    }
    fail(where_, "the accumulator of row " + std::to_string(row) + " reaches " + std::to_string(p) +
                     ", and its product with the requantization multiplier exceeds 64 bits");
  }
  Requantizer take() {
    const auto never = [](std::int32_t early) { return early == 0; };
    if (std::all_of(out_.early.begin(), out_.early.end(), never)) out_.early.clear();
    return std::move(out_);
  }

 private:
  std::string where_;
  bool two_;
  Requantizer out_;
};

IntegerMatrix matrix(const quant::QuantizedLinear& from, const AlignedFloats& bias, int bits,
                     const std::string& where) {
  IntegerMatrix m;
  m.rows = from.bias.size();
  m.columns = from.weight.codes.size() / m.rows;
  m.bits = bits;
  m.weight = from.weight.codes;
  for (std::size_t o = 0; o < m.rows; ++o) {
    if (!(std::abs(from.bias[o]) <= std::ldexp(1.0, 46))) {
      fail(where, "the bias of row " + std::to_string(o) + " is " + std::to_string(bias[o]) +
                      ", more than 2^46 steps of its accumulator (weight scale x input scale)");
    }
    m.bias.push_back(static_cast<std::int64_t>(from.bias[o]));
  }
  return m;
}

class Converter {
 public:
  explicit Converter(const model::Network& network)
      : parameters_(network.parameter_count()),
        s_(network.state()),
        c_(s_.deployed_coefficients()) {}

  IntegerNetwork run() {
    IntegerNetwork n;
    n.inputs = static_cast<std::size_t>(s_.task.inputs);
    n.outputs = static_cast<std::size_t>(s_.task.outputs);
    n.channels = s_.channels();
    n.modes = s_.modes();
    n.complex = s_.complex();
    n.gated = s_.gated();
    n.every_step = s_.options.readout == task::Scope::kStep;
    n.pool_last = n.every_step || s_.options.pooling == model::Pooling::kLast;
    n.input = format_of(c_.input, "input");
    n.residual = format_of(c_.residual, "residual");
    n.state_bits = s_.quant.state.bits;
    n.state_limit = static_cast<std::int32_t>(c_.rounding.limit);
    n.state_rounding = c_.rounding.mode;
    n.encoder = matrix(c_.encoder_codes, c_.encoder_bias, s_.quant.encoder.bits, "encoder");
    n.encoder_codes =
        rows("encoder", n.encoder, n.input, c_.encoder_codes.weight.scales, n.residual.scale);
    for (std::size_t l = 0; l < s_.blocks.size(); ++l) n.blocks.push_back(block(l, n));
    n.decoder = matrix(c_.decoder_codes, c_.decoder_bias, s_.quant.decoder.bits, "decoder");
    n.scores = scores(n.residual.scale);
    n.score_steps = whole_score_steps(n);
    n.scheme = scheme();
    require_64_bits(n, "integer network");
    return n;
  }

 private:
  static Requantizer rows(const std::string& where, const IntegerMatrix& m, const CodeFormat& from,
                          const std::vector<float>& scales, double to_scale) {
    RequantizerBuilder build(where, false);
    const double by = from.scale / to_scale;
    for (std::size_t o = 0; o < scales.size(); ++o) {
      build.add(row_bound(m, o, magnitude(from)), scales[o] * by);
    }
    return build.take();
  }

  Requantizer scores(double residual_scale) const {
    const std::vector<float>& scales = c_.decoder_codes.weight.scales;
    const double largest = *std::max_element(scales.begin(), scales.end());
    const int shift = shift_of(largest * residual_scale, "decoder");
    Requantizer r;
    for (const float scale : scales) {
      const double exact = std::ldexp(scale * residual_scale, shift);
      r.first.push_back(static_cast<std::int32_t>(std::llround(exact)));
      r.shift.push_back(shift);
    }
    return r;
  }

  // n: complete except for its blocks and the parts after them.
  IntegerBlock block(std::size_t l, const IntegerNetwork& n) const {
    const std::string where = "layers." + std::to_string(l);
    const CodeFormat& residual = n.residual;
    const std::int64_t stream = magnitude(residual);
    const model::BlockCoefficients& c = c_.blocks[l];
    const model::BlockQuantizers& q = c_.quantizers[l];
    IntegerBlock b;
    b.a_bits = s_.quant.a.bits;
    b.c_bits = s_.quant.c.bits;
    b.d_bits = s_.quant.d.bits;
    b.shape = s_.shapes[l];
    b.ar = c.codes.ar;
    b.cr = c.codes.cr;
    if (s_.complex()) {
      b.ai = c.codes.ai;
      b.ci = c.codes.ci;
    }
    const auto input_scale = static_cast<float>(residual.scale);
    for (std::size_t i = 0; i < b.ar.size(); ++i) {
      b.input_shift.push_back(s_.input_shift(l, i, input_scale));
    }
    b.residue_bits = c.residue_bits;
    b.d = c.codes.d.codes;
    b.ssm_output = format_of(q.ssm_output, where + ".ssm_output");
    b.activation = format_of(q.activation, where + ".activation");
    b.linear = format_of(q.linear, where + ".linear");
    b.gate = format_of(q.gate, where + ".gate");
    RequantizerBuilder output(where + ".output", true);
    for (std::size_t h = 0; h < b.d.size(); ++h) {
      const double through = b.d[h] == 0 ? 0.0 : c.codes.d.scales[h] * residual.scale;
      const double state = b.shape.modes(h) == 0 ? 0.0 : c.codes.c_scale[h];
      output.add(output_bound(n, b, h), state / b.ssm_output.scale,
                 std::abs(std::int64_t{b.d[h]}) * stream, through / b.ssm_output.scale);
    }
    b.output = output.take();
    b.activation_table = q.activation_table.codes;
    b.linear_map = matrix(c.codes.linear, c.bias, s_.quant.weight.bits, where + ".linear");
    const std::vector<float>& scales = c.codes.linear.weight.scales;
    RequantizerBuilder sum(where + ".sum", true);
    if (s_.gated()) {
      b.linear_codes = rows(where + ".linear", b.linear_map, b.activation, scales, b.linear.scale);
      b.gate_table = q.gate_table.codes;
    }
    for (std::size_t h = 0; h < s_.channels(); ++h) {
      const double unit = n.gated ? b.linear.scale * b.gate.scale : scales[h] * b.activation.scale;
      sum.add(branch_bound(n, b, h), unit / residual.scale, stream, 1);
    }
    b.sum = sum.take();
    return b;
  }

  QuantizationScheme scheme() const {
    const quant::QuantOptions& q = s_.quant;
    const auto weights = [](const quant::WeightSite& site) {
      return WeightScheme{site.granularity.value(), site.scales.value()};
    };
    return {.encoder = weights(q.encoder),
            .c = weights(q.c),
            .d = weights(q.d),
            .weight = weights(q.weight),
            .decoder = weights(q.decoder),
            .coding = q.a.coding,
            .input = q.input.scales.value(),
            .residual = q.residual.scales.value(),
            .ssm_output = q.ssm_output.scales.value(),
            .activation = q.activation.scales.value(),
            .linear = q.linear.scales.value(),
            .activation_function = s_.options.activation,
            .gate_function = s_.options.gate,
            .parameters = parameters_};
  }

  const std::uint64_t parameters_;
  const model::Network::State& s_;
  const model::Coefficients c_;
};

}  // namespace

std::string site_in_floating_point(const model::Network& network) {
  if (!network.quantized()) return "not quantized";
  return site_in_floating_point(network.quant_options(), network.state().gated());
}

std::string site_in_floating_point(const quant::QuantOptions& q, bool gated) {
  std::vector<std::pair<const char*, int>> sites = {{"input", q.input.bits},
                                                    {"residual", q.residual.bits},
                                                    {"ssm_output", q.ssm_output.bits},
                                                    {"activation", q.activation.bits},
                                                    {"state", q.state.bits},
                                                    {"a", q.a.bits},
                                                    {"c", q.c.bits},
                                                    {"d", q.d.bits},
                                                    {"encoder", q.encoder.bits},
                                                    {"weight", q.weight.bits},
                                                    {"decoder", q.decoder.bits}};
  if (gated) {
    sites.insert(sites.end(), {{"linear", q.linear.bits}, {"gate", q.gate.bits}});
  }
  for (const auto& [name, bits] : sites) {
    if (bits == quant::kFloatBits) return std::string("quant.") + name + ".bits = 0";
  }
  return "";
}

IntegerNetwork to_integers(const model::Network& network) {
  const std::string site = site_in_floating_point(network);
  if (!site.empty()) fail("integer network", site + " leaves float values");
  if (network.options().norm != model::Norm::kNone) {
    fail("integer network",
         "norm is '" + name_of(network.options().norm) + "', expected none: norms must be folded");
  }
  return Converter(network).run();
}

}  // namespace crosstate::integer
