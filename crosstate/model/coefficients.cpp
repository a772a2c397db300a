// Parameters -> coefficients of a forward pass, and gradients the other way.
#include <algorithm>
#include <cmath>

#include "crosstate/base/random.h"
#include "crosstate/model/network_state.h"
#include "crosstate/quant/weights.h"

namespace crosstate {
namespace {

// Gate outputs lie in [0, 1]: unsigned codes in steps of 2^-bits.
Quantizer gate_quantizer(int bits, std::size_t rows) {
  Quantizer q;
  q.on = bits > 0;
  q.high = static_cast<float>(std::exp2(bits) - 1);
  q.scale.assign(rows, static_cast<float>(std::exp2(-bits)));
  return q;
}

// Signed codes with the scale of a range parameter.
Quantizer signed_quantizer(const Parameter& log_scale, const QuantOptions& options,
                           std::size_t rows) {
  Quantizer q;
  q.on = options.activation_bits > 0;
  q.high = static_cast<float>(std::exp2(options.activation_bits - 1) - 1);
  q.low = -q.high;
  double scale = std::exp(static_cast<double>(log_scale.value[0]));
  if (options.scales == "pow2") scale = nearest_power_of_two(scale);
  q.scale.assign(rows, static_cast<float>(scale));
  return q;
}

class Noise {
 public:
  Noise(double relative, std::uint64_t seed, std::uint64_t step)
      : relative_(relative), seed_(seed), step_(static_cast<std::uint32_t>(step)) {}
  void disturb(AlignedFloats& values) {
    if (relative_ == 0) return;
    Random random(seed_, Stream::kWeightNoise, step_, part_++);
    for (float& w : values) w *= static_cast<float>(1 + relative_ * random.normal());
  }

 private:
  double relative_;
  std::uint64_t seed_;
  std::uint32_t step_, part_ = 0;
};

void assign(AlignedFloats& to, const Parameter& from) {
  to.assign(from.value.begin(), from.value.end());
}

void round(AlignedFloats& values, std::size_t rows, int bits, const QuantOptions& options) {
  if (bits > 0) round_weights(values, rows, bits, options.granularity == "channel");
}

void recurrence_coefficients(const Network::State& s, std::size_t layer, BlockCoefficients& out) {
  const std::size_t channels = s.channels(), modes = s.modes(), count = channels * modes;
  for (AlignedFloats* v : {&out.ar, &out.ai, &out.b, &out.cr, &out.ci}) v->assign(count, 0);
  std::vector<DiscreteMode> discrete(count);
  std::vector<double> largest_phase(channels, 0);
  for (std::size_t i = 0; i < count; ++i) {
    discrete[i] = discretize(s.mode(layer, i / modes, i % modes), s.discretization(), s.complex());
    double& largest = largest_phase[i / modes];
    largest = std::max(largest, std::abs(std::arg(discrete[i].a)));
  }
  for (std::size_t i = 0; i < count; ++i) {
    DiscreteMode m = discrete[i];
    if (s.quantized && s.quant.a_bits > 0) {
      m.a = s.quant.a_coding == "cartesian"
                ? round_pole_cartesian(m.a, s.quant.a_bits)
                : round_pole_log_polar(m.a, s.quant.a_bits, largest_phase[i / modes]);
      if (!s.complex()) m.a = m.a.real();
    }
    const double step = s.quantized && s.quant.state_bits > 0 ? s.state_steps[layer][i] : 1.0;
    out.ar[i] = static_cast<float>(m.a.real());
    out.ai[i] = static_cast<float>(m.a.imag());
    out.b[i] = static_cast<float>(1 / step);
    out.cr[i] = static_cast<float>(m.c.real() * step);
    out.ci[i] = static_cast<float>(m.c.imag() * step);
  }
  if (s.quantized && s.quant.c_bits > 0) {
    // Real and imaginary parts of a channel share one scale: they meet in one accumulator.
    AlignedFloats both(2 * count);
    for (std::size_t h = 0; h < channels; ++h) {
      std::copy_n(&out.cr[h * modes], modes, &both[2 * h * modes]);
      std::copy_n(&out.ci[h * modes], modes, &both[(2 * h + 1) * modes]);
    }
    round(both, channels, s.quant.c_bits, s.quant);
    for (std::size_t h = 0; h < channels; ++h) {
      std::copy_n(&both[2 * h * modes], modes, &out.cr[h * modes]);
      std::copy_n(&both[(2 * h + 1) * modes], modes, &out.ci[h * modes]);
    }
  }
}

void transpose(const AlignedFloats& from, std::size_t rows, std::size_t columns,
               AlignedFloats& to) {
  to.resize(from.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
}

void add(std::vector<double>& to, const std::vector<double>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

}  // namespace

Activation activation_of(const ModelOptions& options) {
  if (options.activation == "relu") return Activation::kRelu;
  if (options.activation == "hard-gelu") return Activation::kHardGelu;
  if (options.activation == "identity") return Activation::kIdentity;
  return Activation::kGelu;
}

Activation gate_of(const ModelOptions& options) {
  return options.gate == "hard-sigmoid" ? Activation::kHardSigmoid : Activation::kSigmoid;
}

ContinuousMode Network::State::mode(std::size_t layer, std::size_t channel, std::size_t n) const {
  const BlockParameters& p = blocks[layer];
  const std::size_t i = channel * modes() + n;
  ContinuousMode m;
  m.log_dt = parameters[p.log_dt].value[channel];
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

Coefficients Network::State::coefficients(double noise_level, std::uint64_t seed,
                                          std::uint64_t step) const {
  const std::size_t H = channels(), O = linear_outputs();
  const int bits = quantized ? quant.weight_bits : 0;
  Noise noise(noise_level, seed, step);
  Coefficients out;
  assign(out.encoder, parameters[encoder]);
  assign(out.encoder_bias, parameters[encoder_bias]);
  assign(out.decoder, parameters[decoder]);
  assign(out.decoder_bias, parameters[decoder_bias]);
  round(out.encoder, H, bits, quant);
  round(out.decoder, static_cast<std::size_t>(task.classes), bits, quant);
  noise.disturb(out.encoder);
  noise.disturb(out.decoder);
  if (quantized) {
    out.input =
        signed_quantizer(parameters[input_range], quant, static_cast<std::size_t>(task.inputs));
    transpose(out.encoder, H, static_cast<std::size_t>(task.inputs), out.encoder_transposed);
    out.residual = signed_quantizer(parameters[residual_range], quant, H);
    if (quant.state_bits > 0) {
      out.rounding.limit = static_cast<float>(std::exp2(quant.state_bits - 1) - 1);
    }
  }
  out.blocks.resize(blocks.size());
  out.quantizers.resize(blocks.size());
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const BlockParameters& p = blocks[l];
    BlockCoefficients& block = out.blocks[l];
    recurrence_coefficients(*this, l, block);
    assign(block.d, parameters[p.d]);
    if (quantized && quant.d_bits > 0) round_weights(block.d, H, quant.d_bits, false);
    assign(block.weight, parameters[p.weight]);
    round(block.weight, O, bits, quant);
    assign(block.bias, parameters[p.bias]);
    // An array that holds A - 1 disturbs that.
    const float kept = noise_level > 0 && quant.noise_recurrence == "increment" ? 1.0f : 0.0f;
    for (float& a : block.ar) a -= kept;
    for (AlignedFloats* v :
         {&block.ar, &block.ai, &block.b, &block.cr, &block.ci, &block.d, &block.weight}) {
      noise.disturb(*v);
    }
    for (float& a : block.ar) a += kept;
    transpose(block.weight, O, H, block.transposed);
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
    if (quantized) {
      BlockQuantizers& q = out.quantizers[l];
      q.ssm_output = signed_quantizer(parameters[p.ssm_output], quant, H);
      q.activation = signed_quantizer(parameters[p.activation], quant, H);
      q.linear = signed_quantizer(parameters[p.linear], quant, O);
      q.gate = gate_quantizer(quant.activation_bits, H);
      q.linear.on = q.linear.on && gated();
      q.gate.on = q.gate.on && gated();
    }
  }
  return out;
}

Gradients::Gradients(const Network::State& s) {
  const std::size_t H = s.channels(), O = s.linear_outputs(), modes = H * s.modes();
  const auto inputs = static_cast<std::size_t>(s.task.inputs);
  const auto classes = static_cast<std::size_t>(s.task.classes);
  encoder.assign(H * inputs, 0);
  encoder_bias.assign(H, 0);
  decoder.assign(classes * H, 0);
  decoder_bias.assign(classes, 0);
  blocks.resize(s.blocks.size());
  for (BlockGradients& b : blocks) {
    for (std::vector<double>* v : {&b.ar, &b.ai, &b.cr, &b.ci}) v->assign(modes, 0);
    b.d.assign(H, 0);
    b.weight.assign(O * H, 0);
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

void backpropagate(const Gradients& g, double factor, Network::State& s) {
  const auto put = [&](std::size_t index, const std::vector<double>& from) {
    std::vector<double>& to = s.parameters[index].gradient;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
  };
  put(s.encoder, g.encoder);
  put(s.encoder_bias, g.encoder_bias);
  put(s.decoder, g.decoder);
  put(s.decoder_bias, g.decoder_bias);
  if (s.quantized) {
    s.parameters[s.input_range].gradient[0] += factor * g.input;
    s.parameters[s.residual_range].gradient[0] += factor * g.residual;
  }
  const std::size_t modes = s.modes();
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const BlockParameters& p = s.blocks[l];
    const BlockGradients& b = g.blocks[l];
    put(p.d, b.d);
    put(p.weight, b.weight);
    put(p.bias, b.bias);
    if (s.options.norm != "none") {
      put(p.gamma, b.gamma);
      put(p.beta, b.beta);
    }
    if (s.quantized) {
      s.parameters[p.ssm_output].gradient[0] += factor * b.ssm_output;
      s.parameters[p.activation].gradient[0] += factor * b.activation;
      s.parameters[p.linear].gradient[0] += factor * b.linear;
    }
    for (std::size_t i = 0; i < s.channels() * modes; ++i) {
      const double step = s.quantized && s.quant.state_bits > 0 ? s.state_steps[l][i] : 1.0;
      const ContinuousGradient m =
          discretize_adjoint(s.mode(l, i / modes, i % modes), s.discretization(), s.complex(),
                             {b.ar[i], b.ai[i]}, {b.cr[i] * step, b.ci[i] * step});
      s.parameters[p.log_dt].gradient[i / modes] += factor * m.log_dt;
      s.parameters[p.log_a].gradient[i] += factor * m.log_a;
      std::vector<double>& gc = s.parameters[p.c].gradient;
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

}  // namespace crosstate
