#include <utility>

#include "crosstate/model/group_pass.h"
#include "crosstate/model/panels.h"

namespace crosstate {

void GroupPass::decode_adjoint(const GroupMemory& m, const std::vector<double>& glogits,
                               Gradients& g, AlignedFloats& gh) const {
  const auto classes = static_cast<std::size_t>(s_.task.classes);
  AlignedFloats gpooled(H_ * kLanes, 0);
  for (std::size_t k = 0; k < classes; ++k) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const double gl = glogits[k * kLanes + i];
      g.decoder_bias[k] += gl;
      for (std::size_t h = 0; h < H_; ++h) {
        g.decoder[k * H_ + h] += gl / m.pool_count[i] * m.pooled[h * kLanes + i];
        gpooled[h * kLanes + i] +=
            static_cast<float>(gl / m.pool_count[i]) * c_.decoder[k * H_ + h];
      }
    }
  }
  gh.resize(batch_.length * kLanes * H_);
  for (const TimeBlock& b : blocks_) {
    const Rows out = b.rows(gh.data(), H_);
    const float* weight = m.pool_weight.data() + b.start * kLanes;
    for (std::size_t r = 0; r < H_; ++r) {
      const float* gp = gpooled.data() + r * kLanes;
      for (std::size_t c = 0; c < b.columns(); c += kLanes) {
        for (std::size_t i = 0; i < kLanes; ++i) out.row(r)[c + i] = weight[c + i] * gp[i];
      }
    }
  }
}

void GroupPass::norm_sums(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w, double* sum,
                          double* dot) const {
  for (const TimeBlock& b : blocks_) {
    const ConstRows z = b.rows(std::as_const(m.z[l]).data(), O_);
    const Rows gr = take(w.g, H_, b.columns());
    copy(H_, b.columns(), b.rows(std::as_const(gh).data(), H_), gr);
    const Rows gz = tail_adjoint(l, b, z, m, w, gr, nullptr);
    row_sums(O_, b.columns(), mask(m, b), gz, z, sum, dot);
  }
}

void GroupPass::layer_adjoint(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w,
                              const AlignedFloats& norm, Gradients& g) const {
  const BlockShape& shape = s_.shapes[l];
  const std::size_t S = shape.size(), carry = scan_state_size(1);
  const BlockCoefficients& c = c_.blocks[l];
  const BlockQuantizers& q = c_.quantizers[l];
  BlockGradients& out = g.blocks[l];
  w.carry.assign(shape.modes() * carry, 0);
  for (std::size_t k = blocks_.size(); k-- > 0;) {
    const TimeBlock& b = blocks_[k];
    const std::size_t columns = b.columns();
    const ConstRows y = b.rows(std::as_const(m.y[l]).data(), S);
    const ConstRows aq =
        rounded(q.activation, S, columns, b.rows(std::as_const(m.a[l]).data(), S), w.aq);
    const Rows z = b.rows(m.z[l].data(), O_);
    const Rows gr = b.rows(gh.data(), H_);
    const Rows gz = tail_adjoint(l, b, z, m, w, gr, &g);
    if (!norm.empty()) {
      affine_forward(&norm[0], &norm[2 * O_], O_, columns, gz, gz);
      accumulate(&norm[O_], O_, columns, z, gz);
      mask_columns(mask(m, b), O_, columns, gz);
    }
    linear_adjoint_weight(O_, S, columns, gz, aq, out.weight.data(), out.bias.data());

    const Rows gy = take(w.gy, S, columns);
    linear_forward(c.transposed.data(), nullptr, S, O_, columns, gz, gy);
    rounded_adjoint(q.activation, S, columns, b.rows(std::as_const(m.a[l]).data(), S), gy,
                    &out.activation);
    multiply(S, columns, gy, b.rows(std::as_const(m.slope[l]).data(), S), gy);
    rounded_adjoint(q.ssm_output, S, columns, y, gy, &out.ssm_output);

    const ConstRows u = recurrence_input(l, b, m, w);
    std::vector<double> unused(S);
    row_sums(S, columns, nullptr, gy, u, unused.data(), out.d.data());
    take(w.scan, b.steps, kScanScratch);
    const float* start = checkpoint(m, l, b.index, true);
    for (std::size_t s = 0; s < S; ++s) {
      const std::size_t at = shape.first[s];
      float* const gu = gr.row(shape.channels[s]);
      accumulate(&c.d[s], 1, columns, {gy.row(s), columns}, {gu, columns});
      scan_adjoint(
          c.scan(shape, s, complex_, gain_), rounding_of(m, l, at, b.start), b.steps, u.row(s),
          start + at * state_size_, gy.row(s), gu, w.carry.data() + at * carry,
          {out.ar.data() + at, out.ai.data() + at, nullptr, out.cr.data() + at, out.ci.data() + at},
          w.scan.data());
    }
  }
}

void GroupPass::encode_adjoint(std::size_t group, const GroupMemory& m, AlignedFloats& gh,
                               Scratch& w, Gradients& g) const {
  for (const TimeBlock& b : blocks_) {
    const ConstRows x = encoder_input(group, b, w);
    const Rows gr = b.rows(gh.data(), H_);
    if (c_.residual.on) {
      rounded_adjoint(c_.residual, H_, b.columns(), encoder_output(b, x, m, w), gr, &g.residual);
    }
    linear_adjoint_weight(H_, inputs(), b.columns(), gr, x, g.encoder.data(),
                          g.encoder_bias.data());
    if (c_.input.on) {
      const Rows gx = take(w.gs, inputs(), b.columns());
      linear_forward(c_.encoder_transposed.data(), nullptr, inputs(), H_, b.columns(), gr, gx);
      rounded_adjoint(c_.input, inputs(), b.columns(), b.rows(batch_.group(group).data(), inputs()),
                      gx, &g.input);
    }
  }
}

Rows GroupPass::tail_adjoint(std::size_t l, const TimeBlock& b, ConstRows z, GroupMemory& m,
                             Scratch& w, Rows gr, Gradients* g) const {
  const std::size_t columns = b.columns();
  const BlockQuantizers& q = c_.quantizers[l];
  const Tail t = tail_values(l, b, z, m, w, true);
  if (layer_norm_) {
    if (c_.residual.on) {
      const Rows before = take(w.temp, H_, columns);
      normalise(l, b, t.r, before);
      rounded_adjoint(c_.residual, H_, columns, before, gr, &g->residual);
    }
    layer_norm_adjoint(c_.blocks[l].norm_scale.data(), H_, columns, t.r, gr, gr,
                       g->blocks[l].gamma.data(), g->blocks[l].beta.data());
  } else {
    rounded_adjoint(c_.residual, H_, columns, t.r, gr, g == nullptr ? nullptr : &g->residual);
  }
  const Rows gz = take(w.gz, O_, columns);
  Rows go = gr;
  if (!m.dropout[l].empty()) {
    go = take(w.gs, H_, columns);
    copy(H_, columns, gr, go);
    scale_lanes(m.dropout[l], H_, columns, go);
  }
  if (gated_) {
    const Rows gate{gz.row(H_), gz.stride};
    multiply(H_, columns, go, t.sq, gz);
    multiply(H_, columns, go, t.zq, gate);
    rounded_adjoint(q.gate, H_, columns, t.s, gate, nullptr);
    gate_adjoint(gate_, H_, columns, t.s, gate, gate);
  } else {
    copy(H_, columns, go, gz);
  }
  rounded_adjoint(q.linear, O_, columns, t.zn, gz, g == nullptr ? nullptr : &g->blocks[l].linear);
  return gz;
}

}  // namespace crosstate
