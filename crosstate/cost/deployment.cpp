#include "crosstate/cost/deployment.h"

#include "crosstate/model/network_state.h"
#include "crosstate/quant/poles.h"

namespace crosstate::cost {
namespace {

// Derives the number formats of a network from its options.
class Describer {
 public:
  explicit Describer(const model::Network& network) : s_(network.state()), q_(s_.quant) {}

  Deployment run() const {
    Deployment d;
    d.inputs = static_cast<std::size_t>(s_.task.inputs);
    d.channels = s_.channels();
    d.outputs = static_cast<std::size_t>(s_.task.outputs);
    d.complex = s_.complex();
    d.gated = s_.gated();
    d.every_step = s_.options.readout == task::Scope::kStep;
    d.pool_last = d.every_step || s_.options.pooling == model::Pooling::kLast;
    d.encoder = weight(q_.encoder, d.channels);
    d.decoder = weight(q_.decoder, d.outputs);
    d.input = value(q_.input);
    d.residual = value(q_.residual);
    d.state_bits = bits(q_.state.bits);
    if (d.state_bits > 0) d.state_rounding = quant::rounding_mode(q_.state);
    for (const model::BlockShape& shape : s_.shapes) d.blocks.push_back(block(shape));
    if (d.state_rounding == kernels::RoundingMode::kNoiseShaped) {
      const model::Coefficients coefficients = s_.coefficients();
      for (std::size_t l = 0; l < d.blocks.size(); ++l) {
        d.blocks[l].residue_bits = coefficients.blocks[l].residue_bits;
      }
    }
    return d;
  }

 private:
  int bits(int of_site) const { return s_.quantized ? of_site : quant::kFloatBits; }

  WeightFormat weight(const quant::WeightSite& site, std::size_t rows) const {
    if (bits(site.bits) == quant::kFloatBits) return {};
    return {site.bits, site.granularity == quant::Granularity::kChannel ? rows : 1,
            site.scales == quant::ScaleKind::kPowerOfTwo};
  }
  ValueFormat value(const quant::ActivationSite& site) const {
    if (bits(site.bits) == quant::kFloatBits) return {};
    return {site.bits, site.scales == quant::ScaleKind::kPowerOfTwo};
  }

  BlockFormat block(const model::BlockShape& shape) const {
    BlockFormat b;
    set_shape(shape, s_.channels(), s_.modes(), b);
    b.a_bits = bits(q_.a.bits);
    b.polar = quant::is_decoded(q_.a.coding);
    b.increments = q_.a.coding == quant::PoleCoding::kIncrement;
    b.c = weight(q_.c, shape.size());
    b.d = weight(q_.d, shape.size());
    b.linear = weight(q_.weight, s_.linear_outputs());
    b.ssm_output = value(q_.ssm_output);
    b.activation = value(q_.activation);
    b.activation_ramp = is_ramp(s_.options.activation);
    if (s_.gated()) {
      b.linear_output = value(q_.linear);
      b.gate = {bits(q_.gate.bits), true};  // steps of 2^-bits, independent of other scales
      b.gate_ramp = is_ramp(model::gate_of(s_.options.gate));
    }
    if (s_.options.norm != model::Norm::kNone) {
      b.layer_norm = s_.layer_norm();
      b.norm_values = 2 * (s_.batch_norm() ? s_.linear_outputs() : s_.channels());
    }
    return b;
  }

  const model::Network::State& s_;
  const quant::QuantOptions& q_;
};

}  // namespace

bool is_ramp(kernels::Activation f) {
  switch (f) {
    case kernels::Activation::kIdentity:
    case kernels::Activation::kRelu:
    case kernels::Activation::kHardGelu:
    case kernels::Activation::kHardSigmoid:
      return true;
    case kernels::Activation::kGelu:
    case kernels::Activation::kSigmoid:
      return false;
  }
  return false;
}

void set_shape(const model::BlockShape& shape, std::size_t channels, std::size_t modes,
               BlockFormat& b) {
  b.channels = shape.size();
  b.modes = shape.modes();
  const bool whole = shape == model::BlockShape::whole(channels, modes);
  b.shape_values = whole ? 0 : 2 * shape.size();
}

int BlockFormat::pole_width() const {
  constexpr int kFixed = quant::kPoleFraction + 2;
  if (a_bits == 0) return kFloatWidth;
  return polar ? kFixed : a_bits;
}

std::map<int, std::size_t> BlockFormat::residues() const {
  std::map<int, std::size_t> modes_of_bits;
  for (const std::uint8_t bits : residue_bits) {
    if (bits > 0) ++modes_of_bits[bits];
  }
  return modes_of_bits;
}

bool Deployment::in_floats() const {
  bool floats = state_bits == 0 || !encoder.rounded() || !decoder.rounded() || !input.rounded() ||
                !residual.rounded();
  for (const BlockFormat& b : blocks) {
    floats |= b.a_bits == 0 || !b.c.rounded() || !b.d.rounded() || !b.linear.rounded() ||
              !b.ssm_output.rounded() || !b.activation.rounded() || b.norm_values > 0;
    floats |= gated && (!b.linear_output.rounded() || !b.gate.rounded());
  }
  return floats;
}

std::size_t Deployment::weights() const {
  const std::size_t per_mode = 2 * parts();  // A and C
  std::size_t count = channels * inputs + outputs * channels;
  for (const BlockFormat& b : blocks)
    count += b.modes * per_mode + b.channels * (1 + linear_outputs());
  return count;
}

Deployment deployment(const model::Network& network) { return Describer(network).run(); }

}  // namespace crosstate::cost
