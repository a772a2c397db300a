// Gradients of coefficients, summed over groups, and their propagation to the parameters.
#include <cstdint>
#include <span>
#include <vector>

#include "crosstate/model/network_state.h"

namespace crosstate::model {
namespace {

void add(std::vector<double>& to, const std::vector<double>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

void backpropagate_recurrence(const BlockGradients& b, double factor, float input_scale,
                              std::size_t layer, Network::State& s) {
  const BlockParameters& p = s.blocks[layer];
  const BlockShape& shape = s.shapes[layer];
  std::vector<double>& gc = s.parameters[p.c].gradient;
  for (std::size_t h = 0; h < shape.size(); ++h) {
    for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
      const double step = s.state_step(layer, i, input_scale);
      const ContinuousGradient m =
          discretize_adjoint(s.mode(layer, h, i), s.discretization(), s.complex(),
                             {b.ar[i], b.ai[i]}, {b.cr[i] * step, b.ci[i] * step});
      s.parameters[p.log_dt].gradient[h] += factor * m.log_dt;
      s.parameters[p.log_a].gradient[i] += factor * m.log_a;
      if (s.complex()) {
        s.parameters[p.w].gradient[i] += factor * m.w;
        gc[2 * i] += factor * m.c.real();
        gc[2 * i + 1] += factor * m.c.imag();
        if (s.options.train_b) {
          s.parameters[p.b].gradient[2 * i] += factor * m.b.real();
          s.parameters[p.b].gradient[2 * i + 1] += factor * m.b.imag();
        }
      } else {
        gc[i] += factor * m.c.real();
        if (s.options.train_b) s.parameters[p.b].gradient[i] += factor * m.b.real();
      }
    }
  }
}

// Learned scales of one site: parameter `index` has one for each of `first.size() - 1` groups of
// values, or one for all. scales: the scales of the groups.
void backpropagate_scales(std::span<const float> values, std::span<const double> gradient,
                          std::span<const std::int16_t> codes, std::span<const float> scales,
                          const std::vector<std::size_t>& first, const quant::WeightSite& site,
                          double factor, Parameter& to) {
  for (std::size_t r = 0; r + 1 < first.size(); ++r) {
    const std::size_t count = first[r + 1] - first[r];
    to.gradient[to.value.size() == 1 ? 0 : r] +=
        factor * quant::scale_gradient(values.subspan(first[r], count),
                                       gradient.subspan(first[r], count),
                                       codes.subspan(first[r], count), scales[r], site.bits);
  }
}

// Start of each row of a matrix, and the end.
std::vector<std::size_t> row_starts(std::size_t size, std::size_t rows) {
  std::vector<std::size_t> first;
  for (std::size_t r = 0; r <= rows; ++r) first.push_back(r * (size / rows));
  return first;
}

void backpropagate_scales(const Gradients& g, double factor, const Coefficients& c,
                          Network::State& s) {
  const auto matrix = [&](const quant::WeightSite& site, std::size_t weight,
                          const std::vector<double>& gradient, const quant::QuantizedTensor& codes,
                          std::size_t scale) {
    if (!site.learned || site.bits == quant::kFloatBits) return;
    backpropagate_scales(s.parameters[weight].value, gradient, codes.codes, codes.scales,
                         row_starts(codes.codes.size(), codes.scales.size()), site, factor,
                         s.parameters[scale]);
  };
  matrix(s.quant.encoder, s.encoder, g.encoder, c.encoder_codes.weight, s.encoder_scale);
  matrix(s.quant.decoder, s.decoder, g.decoder, c.decoder_codes.weight, s.decoder_scale);
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const BlockParameters& p = s.blocks[l];
    const BlockCodes& codes = c.blocks[l].codes;
    const BlockGradients& b = g.blocks[l];
    matrix(s.quant.d, p.d, b.d, codes.d, p.d_scale);
    matrix(s.quant.weight, p.weight, b.weight, codes.linear.weight, p.weight_scale);
    if (!s.quant.c.learned || s.quant.c.bits == quant::kFloatBits) continue;
    const BlockShape& shape = s.shapes[l];
    const bool complex = s.complex();
    std::vector<std::size_t> first = shape.first;
    for (std::size_t& at : first) at *= complex ? 2 : 1;
    backpropagate_scales(
        s.output_weights(l),
        by_channel<double>(shape, b.cr.data(), complex ? b.ci.data() : nullptr),
        by_channel<std::int16_t>(shape, codes.cr.data(), complex ? codes.ci.data() : nullptr),
        codes.c_scale, first, s.quant.c, factor, s.parameters[p.c_scale]);
  }
}

}  // namespace

Gradients::Gradients(const Network::State& s) {
  const std::size_t H = s.channels(), O = s.linear_outputs();
  const auto inputs = static_cast<std::size_t>(s.task.inputs);
  const auto outputs = static_cast<std::size_t>(s.task.outputs);
  encoder.assign(H * inputs, 0);
  encoder_bias.assign(H, 0);
  decoder.assign(outputs * H, 0);
  decoder_bias.assign(outputs, 0);
  blocks.resize(s.blocks.size());
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    BlockGradients& b = blocks[l];
    const BlockShape& shape = s.shapes[l];
    for (std::vector<double>* v : {&b.ar, &b.ai, &b.cr, &b.ci}) v->assign(shape.modes(), 0);
    b.d.assign(shape.size(), 0);
    b.weight.assign(O * shape.size(), 0);
    b.bias.assign(O, 0);
    b.gamma.assign(O, 0);
    b.beta.assign(O, 0);
  }
}

Gradients& Gradients::operator+=(const Gradients& other) {
  add(encoder, other.encoder);
  add(encoder_bias, other.encoder_bias);
  add(decoder, other.decoder);
  add(decoder_bias, other.decoder_bias);
  input += other.input;
  residual += other.residual;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    BlockGradients& a = blocks[l];
    const BlockGradients& b = other.blocks[l];
    add(a.ar, b.ar), add(a.ai, b.ai), add(a.cr, b.cr), add(a.ci, b.ci);
    add(a.d, b.d), add(a.weight, b.weight), add(a.bias, b.bias);
    add(a.gamma, b.gamma), add(a.beta, b.beta);
    a.ssm_output += b.ssm_output;
    a.activation += b.activation;
    a.linear += b.linear;
  }
  return *this;
}

void backpropagate(const Gradients& g, double factor, const Coefficients& c, Network::State& s) {
  const auto put = [&](std::size_t index, const std::vector<double>& from) {
    std::vector<double>& to = s.parameters[index].gradient;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
  };
  const auto range = [&](std::size_t index, const quant::ActivationSite& site, double gradient) {
    if (site.learned) s.parameters[index].gradient[0] += factor * gradient;
  };
  put(s.encoder, g.encoder);
  put(s.encoder_bias, g.encoder_bias);
  put(s.decoder, g.decoder);
  put(s.decoder_bias, g.decoder_bias);
  if (s.quantized) {
    range(s.input_range, s.quant.input, g.input);
    range(s.residual_range, s.quant.residual, g.residual);
  }
  const float input_scale = s.input_scale();
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const BlockParameters& p = s.blocks[l];
    const BlockGradients& b = g.blocks[l];
    put(p.d, b.d);
    put(p.weight, b.weight);
    put(p.bias, b.bias);
    if (s.options.norm != Norm::kNone) {
      put(p.gamma, b.gamma);
      put(p.beta, b.beta);
    }
    if (s.quantized) {
      range(p.ssm_output, s.quant.ssm_output, b.ssm_output);
      range(p.activation, s.quant.activation, b.activation);
      range(p.linear, s.quant.linear, b.linear);
    }
    backpropagate_recurrence(b, factor, input_scale, l, s);
  }
  if (s.quantized) backpropagate_scales(g, factor, c, s);
}

}  // namespace crosstate::model
