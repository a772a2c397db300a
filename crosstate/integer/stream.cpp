#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate {
namespace {

// [rows][columns] as [columns][padded rows].
template <class T, class Value>
AlignedFloats transposed(const std::vector<T>& from, std::size_t rows, std::size_t columns,
                         Value value) {
  const std::size_t width = padded(rows);
  AlignedFloats out(columns * width, 0);
  for (std::size_t r = 0; r < from.size() / columns; ++r) {
    for (std::size_t c = 0; c < columns; ++c) out[c * width + r] = value(from[r * columns + c]);
  }
  return out;
}
float plain(std::int16_t v) { return static_cast<float>(v); }

struct StreamMatrix {
  AlignedFloats weight, bias;
  std::size_t inputs, outputs;

  // `split`: the rows come in two halves, each padded on its own.
  StreamMatrix(const IntegerMatrix& m, bool split) : inputs(m.columns) {
    const std::size_t half = split ? m.rows / 2 : m.rows;
    outputs = split ? 2 * padded(half) : padded(half);
    weight.assign(inputs * outputs, 0);
    bias.assign(outputs, 0);
    for (std::size_t r = 0; r < m.rows; ++r) {
      const std::size_t to = r < half ? r : padded(half) + r - half;
      bias[to] = static_cast<float>(m.bias[r]);
      for (std::size_t c = 0; c < inputs; ++c) {
        weight[c * outputs + to] = static_cast<float>(m.weight[r * inputs + c]);
      }
    }
  }
  void multiply(const AlignedFloats& x, AlignedFloats& y) const {
    stream_linear(weight.data(), bias.data(), inputs, outputs, x.data(), y.data());
  }
  std::size_t bytes() const { return 4 * (weight.size() + bias.size()); }
};

// A requantizer of two halves of rows, each padded on its own.
Requantizer split(const Requantizer& r, std::size_t half) {
  if (r.first.size() != 2 * half) return r;
  Requantizer out;
  out.first.assign(2 * padded(half), 0);
  out.shift.assign(2 * padded(half), 1);
  for (std::size_t i = 0; i < 2 * half; ++i) {
    const std::size_t to = i < half ? i : padded(half) + i - half;
    out.first[to] = r.first[i];
    out.shift[to] = r.shift[i];
  }
  return out;
}

struct StreamBlock {
  AlignedFloats ar, ai, b, cr, ci, activation, gate;
  LaneFactors output, linear_codes, sum;
  StreamMatrix linear;
  AlignedFloats xr, xi, er, ei;  // the state; residues: feedback only
  AlignedWords keys;             // stochastic only

  // `first`: number of the block's first mode in the network.
  StreamBlock(const IntegerBlock& from, std::size_t channels, std::size_t modes, bool gated,
              RoundingMode rounding, std::size_t first)
      : ar(transposed(from.ar, channels, modes, pole_value)),
        ai(transposed(from.ai, channels, modes, pole_value)),
        b(transposed(from.input_shift, channels, modes, gain_value)),
        cr(transposed(from.cr, channels, modes, plain)),
        ci(transposed(from.ci, channels, modes, plain)),
        activation(floats(from.activation_table)),
        gate(floats(from.gate_table)),
        output(from.output, padded(channels), from.d),  // D u joins the second product
        linear_codes(split(from.linear_codes, channels), gated ? 2 * padded(channels) : 0),
        sum(from.sum, padded(channels)),
        linear(from.linear_map, gated) {
    xr.assign(ar.size(), 0);
    xi.assign(ar.size(), 0);
    if (rounding == RoundingMode::kFeedback) er = ei = xr;
    if (rounding == RoundingMode::kStochastic) {
      keys.assign(ar.size(), 0);
      for (std::size_t i = 0; i < channels * modes; ++i) {
        keys[i % modes * padded(channels) + i / modes] =
            state_key(kDeployedSeed, static_cast<std::uint32_t>(first + i));
      }
    }
  }
  void forget() {
    for (AlignedFloats* v : {&xr, &xi, &er, &ei}) std::fill(v->begin(), v->end(), 0.0f);
  }
  std::size_t bytes() const {
    const std::size_t values =
        7 * ar.size() + er.size() + ei.size() + keys.size() + activation.size() + gate.size();
    return 4 * values + output.bytes() + linear_codes.bytes() + sum.bytes() + linear.bytes();
  }
};

}  // namespace

struct IntegerStream::Inside {
  IntegerNetwork n;
  ReferenceExecutor reference;
  bool exact;
  std::size_t width;
  StreamMatrix encoder;
  LaneFactors encoder_codes;
  std::vector<StreamBlock> blocks;
  AlignedFloats x, h, y, z;
  std::vector<double> pooled;
  std::int64_t steps = 0;

  explicit Inside(const IntegerNetwork& network)
      : n(network),
        reference(n),
        exact(certify(network).exact_in_float),
        width(padded(network.channels)),
        encoder(network.encoder, false),
        encoder_codes(network.encoder_codes, width),
        x(n.inputs, 0),
        h(width, 0),
        y(width, 0),
        z(n.gated ? 2 * width : width, 0),
        pooled(width, 0) {
    for (const IntegerBlock& b : n.blocks) {
      blocks.emplace_back(b, n.channels, n.modes, n.gated, n.state_rounding,
                          blocks.size() * n.channels * n.modes);
    }
  }

  void reset() {
    reference.reset();
    for (StreamBlock& b : blocks) b.forget();
    std::fill(pooled.begin(), pooled.end(), 0.0);
    steps = 0;
  }

  void block(std::size_t l) {
    StreamBlock& b = blocks[l];
    const IntegerBlock& from = n.blocks[l];
    const StreamModes modes{n.modes,
                            width,
                            b.ar.data(),
                            n.complex ? b.ai.data() : nullptr,
                            b.b.data(),
                            b.cr.data(),
                            n.complex ? b.ci.data() : nullptr,
                            static_cast<float>(n.state_limit),
                            n.state_rounding,
                            b.keys.data()};
    stream_scan(modes, static_cast<std::uint32_t>(steps), h.data(),
                {b.xr.data(), b.xi.data(), b.er.data(), b.ei.data()}, y.data());
    requantize_each(b.output.to(from.ssm_output, b.activation), width, y.data(), h.data(),
                    y.data());
    b.linear.multiply(y, z);
    if (n.gated) {
      float* const gate = z.data() + width;
      requantize_each(b.linear_codes.to(from.linear), width, z.data(), nullptr, z.data());
      requantize_each(b.linear_codes.to(from.linear, b.gate, width), width, gate, nullptr, gate);
      for (std::size_t i = 0; i < width; ++i) z[i] *= z[width + i];
    }
    requantize_each(b.sum.to(n.residual), width, z.data(), h.data(), h.data());
  }

  void step() {
    encoder.multiply(x, h);
    requantize_each(encoder_codes.to(n.residual), width, h.data(), nullptr, h.data());
    for (std::size_t l = 0; l < blocks.size(); ++l) block(l);
    for (std::size_t i = 0; i < n.channels; ++i) {
      const auto code = static_cast<double>(h[i]);
      pooled[i] = n.pool_last ? code : pooled[i] + code;
    }
    ++steps;
  }
};

IntegerStream::IntegerStream(const IntegerNetwork& network)
    : inside_(std::make_unique<Inside>(network)) {}
IntegerStream::~IntegerStream() = default;
IntegerStream::IntegerStream(IntegerStream&&) noexcept = default;

bool IntegerStream::vectorised() const { return inside_->exact; }
void IntegerStream::reset() { inside_->reset(); }

void IntegerStream::step(std::span<const float> input) {
  Inside& in = *inside_;
  if (input.size() != in.n.inputs) {
    fail("stream", std::to_string(input.size()) + " values, but the network has " +
                       std::to_string(in.n.inputs) + " inputs");
  }
  if (!in.exact) {
    std::vector<std::int32_t> codes;
    for (const float v : input) codes.push_back(input_code(in.n.input, v));
    in.reference.step(codes);
    return;
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    in.x[i] = static_cast<float>(input_code(in.n.input, input[i]));
  }
  in.step();
}

void IntegerStream::step_codes(std::span<const std::int32_t> input) {
  Inside& in = *inside_;
  if (!in.exact) {
    in.reference.step(input);
    return;
  }
  for (std::size_t i = 0; i < in.x.size(); ++i) in.x[i] = static_cast<float>(input[i]);
  in.step();
}

IntegerResult IntegerStream::result() const {
  const Inside& in = *inside_;
  if (!in.exact) return in.reference.result();
  IntegerResult r;
  r.count = in.n.pool_last ? 1 : in.steps;
  r.shift = in.n.scores.shift[0];
  for (std::size_t k = 0; k < in.n.classes; ++k) {
    std::int64_t sum = r.count * in.n.decoder.bias[k];
    for (std::size_t h = 0; h < in.n.channels; ++h) {
      sum += in.n.decoder.weight[k * in.n.channels + h] * static_cast<std::int64_t>(in.pooled[h]);
    }
    r.scores.push_back(sum * in.n.scores.first[k]);
  }
  return r;
}

std::size_t IntegerStream::bytes() const {
  const Inside& in = *inside_;
  std::size_t bytes = in.encoder.bytes() + in.encoder_codes.bytes();
  for (const StreamBlock& b : in.blocks) bytes += b.bytes();
  bytes += 4 * (in.x.size() + in.h.size() + in.y.size() + in.z.size()) + 8 * in.pooled.size();
  return bytes + 2 * in.n.decoder.weight.size() + 4 * in.n.decoder.bias.size();
}

}  // namespace crosstate
