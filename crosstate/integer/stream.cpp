#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/model/walk.h"

namespace crosstate::integer {
namespace {

// Assignment of the modes of a block to the lanes of stream_scan: every lane has up to `depth`
// modes of one channel, so channels with many modes use several lanes if that leaves fewer of them
// empty.
struct LanePlan {
  struct Lane {
    std::size_t channel, first, modes;  // position in the shape, first mode
  };
  std::size_t depth = 0;
  std::vector<Lane> lanes;
  bool by_channel = true;  // lane s is channel s

  explicit LanePlan(const model::BlockShape& shape) {
    for (std::size_t s = 0; s < shape.size(); ++s) depth = std::max(depth, shape.modes(s));
    // Copying values to lanes and back costs about as much as two modes.
    std::size_t best = depth * padded(shape.size());
    for (std::size_t d = depth; d-- > 1;) {
      std::size_t count = 0;
      for (const std::size_t modes : shape.counts()) count += (modes + d - 1) / d;
      if ((d + 2) * padded(count) >= best) continue;
      best = (d + 2) * padded(count);
      depth = d;
      by_channel = false;
    }
    for (std::size_t s = 0; s < shape.size(); ++s) {
      const std::size_t end = shape.first[s + 1];
      if (by_channel) lanes.push_back({s, shape.first[s], shape.modes(s)});
      for (std::size_t i = shape.first[s]; !by_channel && i < end; i += depth) {
        lanes.push_back({s, i, std::min(depth, end - i)});
      }
    }
  }
  std::size_t width() const { return padded(lanes.size()); }
};

// value(mode) as [depth][width], 0 where there is no mode.
template <class T, class Value>
std::vector<T, AlignedAllocator<T>> in_lanes(const LanePlan& plan, Value value) {
  std::vector<T, AlignedAllocator<T>> out(plan.depth * plan.width(), T(0));
  for (std::size_t i = 0; i < plan.lanes.size(); ++i) {
    for (std::size_t k = 0; k < plan.lanes[i].modes; ++k) {
      out[k * plan.width() + i] = value(plan.lanes[i].first + k);
    }
  }
  return out;
}
template <class T, class Value>
AlignedFloats in_lanes(const LanePlan& plan, const std::vector<T>& from, Value value) {
  if (from.empty()) return {};
  return in_lanes<float>(plan, [&](std::size_t i) { return value(from[i]); });
}
float plain(std::int16_t v) { return static_cast<float>(v); }

struct StreamMatrix {
  AlignedFloats weight, bias;
  std::size_t inputs, outputs;

  // `split`: the rows consist of two halves, each padded separately.
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
  void multiply(const float* x, float* y) const {
    kernels::stream_linear(weight.data(), bias.data(), inputs, outputs, x, y);
  }
  std::size_t bytes() const { return 4 * (weight.size() + bias.size()); }
};

// A requantizer of two halves of rows, each padded separately.
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
  LanePlan plan;
  AlignedFloats ar, ai, b, cr, ci;
  CodeEntries activation, gate;
  LaneFactors output, linear_codes, sum;
  StreamMatrix linear;
  AlignedFloats xr, xi, er, ei;  // the state; residues: noise-shaped only
  AlignedFloats rest;            // only noise-shaped; like `keep`
  std::vector<std::int32_t, AlignedAllocator<std::int32_t>> keep;
  AlignedWords keys;                // stochastic only
  AlignedFloats u, lane_u, lane_y;  // where the stream has other channels, the lanes another order

  // `first`: index of the first mode of the block in the network.
  StreamBlock(const IntegerBlock& from, const IntegerNetwork& n, std::size_t first)
      : plan(from.shape),
        ar(in_lanes(plan, from.ar, quant::pole_value)),
        ai(in_lanes(plan, from.ai, quant::pole_value)),
        b(in_lanes(plan, from.input_shift, quant::gain_value)),
        cr(in_lanes(plan, from.cr, plain)),
        ci(in_lanes(plan, from.ci, plain)),
        activation(from.activation_table),
        gate(from.gate_table),
        // D u is added in the second product.
        output(from.output, padded(from.shape.size()), n.residual, from.d),
        linear_codes(split(from.linear_codes, n.channels), n.gated ? 2 * padded(n.channels) : 0),
        sum(from.sum, padded(n.channels), n.residual),
        linear(from.linear_map, n.gated) {
    xr.assign(ar.size(), 0);
    xi.assign(ar.size(), 0);
    if (n.state_rounding == kernels::RoundingMode::kNoiseShaped) {
      const kernels::HeldSums sums(static_cast<float>(n.state_limit));
      const auto residue = [&](std::size_t i) {
        return kernels::HeldResidue(sums, from.residue_bits[i]);
      };
      keep = in_lanes<std::int32_t>(plan, [&](std::size_t i) { return residue(i).keep; });
      rest = in_lanes<float>(plan, [&](std::size_t i) { return residue(i).rest; });
      for (float& r : rest) r = r == 0 ? kernels::HeldResidue(sums, 0).rest : r;
      er = ei = rest;
    }
    if (n.state_rounding == kernels::RoundingMode::kStochastic) {
      keys = in_lanes<std::uint32_t>(plan, [&](std::size_t i) {
        return kernels::state_key(kernels::kDeployedSeed, static_cast<std::uint32_t>(first + i));
      });
    }
    if (!from.shape.every_channel(n.channels)) u.assign(padded(from.shape.size()), 0);
    if (!plan.by_channel) lane_u = lane_y = AlignedFloats(plan.width(), 0);
  }

  // One value per channel of the shape, selected from those of the stream.
  const float* select(const model::BlockShape& shape, const float* h) {
    if (u.empty()) return h;
    for (std::size_t s = 0; s < shape.size(); ++s) u[s] = h[shape.channels[s]];
    return u.data();
  }

  // One step of the recurrence: sums over the modes of each channel of the shape, padded, in y.
  void advance(const IntegerNetwork& n, std::uint32_t step, const float* in, AlignedFloats& y) {
    const kernels::StreamModes modes{plan.depth,
                                     plan.width(),
                                     ar.data(),
                                     n.complex ? ai.data() : nullptr,
                                     b.data(),
                                     cr.data(),
                                     n.complex ? ci.data() : nullptr,
                                     static_cast<float>(n.state_limit),
                                     n.state_rounding,
                                     keys.data(),
                                     rest.data(),
                                     keep.data()};
    const kernels::StreamState state{xr.data(), xi.data(), er.data(), ei.data()};
    if (plan.by_channel) {
      kernels::stream_scan(modes, step, in, state, y.data());
      return;
    }
    for (std::size_t i = 0; i < plan.lanes.size(); ++i) lane_u[i] = in[plan.lanes[i].channel];
    kernels::stream_scan(modes, step, lane_u.data(), state, lane_y.data());
    std::fill(y.begin(), y.end(), 0.0f);
    for (std::size_t i = 0; i < plan.lanes.size(); ++i) y[plan.lanes[i].channel] += lane_y[i];
  }
  void forget() {
    for (AlignedFloats* v : {&xr, &xi}) std::fill(v->begin(), v->end(), 0.0f);
    er = ei = rest;
  }
  std::size_t bytes() const {
    const std::size_t values =
        7 * ar.size() + 2 * (er.size() + rest.size()) + keys.size() + u.size() + 2 * lane_u.size();
    return 4 * values + activation.bytes() + gate.bytes() + output.bytes() + linear_codes.bytes() +
           sum.bytes() + linear.bytes();
  }
};

}  // namespace

struct IntegerStream::Inside : model::FoldedNorms {
  IntegerNetwork n;
  ReferenceExecutor reference;
  std::int64_t longest;
  bool exact;
  std::size_t width;
  StreamMatrix encoder;
  LaneFactors encoder_codes;
  std::vector<StreamBlock> blocks;
  AlignedFloats x, h, y, z;
  std::vector<double> pooled;  // exact for sequences of up to `longest` steps
  std::int64_t steps = 0;

  explicit Inside(const IntegerNetwork& network)
      : n(network),
        reference(n),
        longest(longest_sequence(network)),
        exact(exact_in_float(network)),
        width(padded(network.channels)),
        encoder(network.encoder, false),
        encoder_codes(network.encoder_codes, width),
        x(n.inputs, 0),
        h(width, 0),
        y(width, 0),
        z(n.gated ? 2 * width : width, 0),
        pooled(width, 0) {
    for (const IntegerBlock& b : n.blocks) blocks.emplace_back(b, n, n.first_mode(blocks.size()));
  }

  void reset() {
    reference.reset();
    for (StreamBlock& b : blocks) b.forget();
    std::fill(pooled.begin(), pooled.end(), 0.0);
    steps = 0;
  }

  void check(std::size_t values) const {
    require_room(steps, longest);
    if (values == n.inputs) return;
    fail("stream", std::to_string(values) + " values, but the network has " +
                       std::to_string(n.inputs) + " inputs");
  }

  void step() {
    model::walk_stretch(*this, blocks.size());
    ++steps;
  }

  // The steps of walk_stretch() on padded vectors with one value per channel.

  const float* input() const { return x.data(); }
  float* encode(const float* codes) {
    encoder.multiply(codes, h.data());
    return h.data();
  }
  void enter(float* sums) {
    kernels::requantize_each(encoder_codes.to(n.residual), width, sums, nullptr, h.data());
  }
  const float* select(std::size_t l) { return blocks[l].select(n.blocks[l].shape, h.data()); }
  float* recur(std::size_t l, const float* u) {
    blocks[l].advance(n, static_cast<std::uint32_t>(steps), u, y);
    return y.data();
  }
  float* activate(std::size_t l, float* sums, const float* u) {
    const IntegerBlock& from = n.blocks[l];
    const kernels::LaneTable table = blocks[l].activation.lanes();
    kernels::requantize_each(blocks[l].output.to(from.ssm_output, &table),
                             padded(from.shape.size()), sums, u, sums);
    return sums;
  }
  float* linear(std::size_t l, const float* a) {
    blocks[l].linear.multiply(a, z.data());
    return z.data();
  }
  float* gate(std::size_t l, float* sums) {
    if (!n.gated) return sums;
    const LaneFactors& codes = blocks[l].linear_codes;
    const CodeFormat& format = n.blocks[l].linear;
    const kernels::LaneTable table = blocks[l].gate.lanes();
    float* const second = sums + width;
    kernels::requantize_each(codes.to(format), width, sums, nullptr, sums);
    kernels::requantize_each(codes.to(format, &table, width), width, second, nullptr, second);
    for (std::size_t i = 0; i < width; ++i) sums[i] *= second[i];
    return sums;
  }
  float* add_residual(std::size_t l, const float* sums) {
    kernels::requantize_each(blocks[l].sum.to(n.residual), width, sums, h.data(), h.data());
    return h.data();
  }
  static void leave(std::size_t, float*) {
  }  // add_residual() has already requantized the stream in place
  void read() {
    for (std::size_t i = 0; i < n.channels; ++i) {
      const auto code = static_cast<double>(h[i]);
      pooled[i] = n.pool_last ? code : pooled[i] + code;
    }
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
  in.check(input.size());
  if (!in.exact) {
    std::vector<std::int32_t> codes;
    for (const float v : input) codes.push_back(input_code(in.n.input, v));
    in.reference.step(codes);
    ++in.steps;
    return;
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    in.x[i] = static_cast<float>(input_code(in.n.input, input[i]));
  }
  in.step();
}

void IntegerStream::step_codes(std::span<const std::int32_t> input) {
  Inside& in = *inside_;
  in.check(input.size());
  // The certificate, and with it the exactness of lanes, holds for the codes of the format only.
  const CodeFormat& format = in.n.input;
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (input[i] >= format.quant_min && input[i] <= format.quant_max) continue;
    fail("stream", "code " + std::to_string(input[i]) + " at input " + std::to_string(i) +
                       ", expected " + std::to_string(format.quant_min) + " to " +
                       std::to_string(format.quant_max));
  }
  if (!in.exact) {
    in.reference.step(input);
    ++in.steps;
    return;
  }
  for (std::size_t i = 0; i < in.x.size(); ++i) in.x[i] = static_cast<float>(input[i]);
  in.step();
}

IntegerResult IntegerStream::result() const {
  const Inside& in = *inside_;
  if (!in.exact) return in.reference.result();
  std::vector<std::int64_t> sums;
  for (std::size_t k = 0; k < in.n.outputs; ++k) {
    std::int64_t sum = (in.n.pool_last ? 1 : in.steps) * in.n.decoder.bias[k];
    for (std::size_t h = 0; h < in.n.channels; ++h) {
      sum += in.n.decoder.weight[k * in.n.channels + h] * static_cast<std::int64_t>(in.pooled[h]);
    }
    sums.push_back(sum);
  }
  return scored(in.n, sums, in.steps);
}

std::size_t IntegerStream::bytes() const {
  const Inside& in = *inside_;
  std::size_t bytes = in.encoder.bytes() + in.encoder_codes.bytes();
  for (const StreamBlock& b : in.blocks) bytes += b.bytes();
  bytes += 4 * (in.x.size() + in.h.size() + in.y.size() + in.z.size()) + 8 * in.pooled.size();
  return bytes + 2 * in.n.decoder.weight.size() + 4 * in.n.decoder.bias.size();
}

}  // namespace crosstate::integer
