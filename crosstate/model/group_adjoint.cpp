#include <utility>

#include "crosstate/model/group_forward.h"

namespace crosstate::model {

void GroupPass::decode_adjoint(const GroupMemory& m, const std::vector<double>& glogits,
                               Gradients& g, AlignedFloats& gh) const {
  gh.resize(batch_.length * kLanes * H_);
  if (every_step_) {
    decode_steps_adjoint(glogits, m, g, gh);
    return;
  }
  AlignedFloats gpooled(H_ * kLanes, 0);
  for (std::size_t k = 0; k < K_; ++k) {
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
  AlignedFloats weights;
  for (const TimeBlock& b : blocks_) {
    const kernels::Rows out = b.rows(gh.data(), H_);
    const float* weight = pool_weights(m, b, weights);
    for (std::size_t r = 0; r < H_; ++r) {
      const float* gp = gpooled.data() + r * kLanes;
      for (std::size_t c = 0; c < b.columns(); c += kLanes) {
        for (std::size_t i = 0; i < kLanes; ++i) out.row(r)[c + i] = weight[c + i] * gp[i];
      }
    }
  }
}

void GroupPass::decode_steps_adjoint(const std::vector<double>& glogits, const GroupMemory& m,
                                     Gradients& g, AlignedFloats& gh) const {
  AlignedFloats transposed(H_ * K_), panel;
  for (std::size_t k = 0; k < K_; ++k) {
    for (std::size_t h = 0; h < H_; ++h) transposed[h * K_ + k] = c_.decoder[k * H_ + h];
  }
  for (const TimeBlock& b : blocks_) {
    const double* from = glogits.data() + b.start * K_ * kLanes;
    panel.assign(from, from + K_ * b.columns());
    const kernels::ConstRows gout(panel.data(), b.columns());
    kernels::linear_adjoint_weight(K_, H_, b.columns(), gout, b.rows(m.h[layers_].data(), H_),
                                   g.decoder.data(), g.decoder_bias.data());
    kernels::linear_forward(transposed.data(), nullptr, H_, K_, b.columns(), gout,
                            b.rows(gh.data(), H_));
  }
}

/// The adjoint steps of one group, for walk_back_to_norm() and walk_back_from_norm(). `stream` is
/// the gradient of the residual stream at the present block of time, modified in place.
class GroupAdjoint {
 public:
  /// norm: as in GroupPass::layer_adjoint(), or null. g null: sums of gradients are not
  /// accumulated.
  GroupAdjoint(const GroupPass& pass, GroupMemory& m, Scratch& w, const AlignedFloats* norm,
               Gradients* g)
      : p_(pass), c_(pass.c_), m_(m), w_(w), forward_(pass, m, w), norm_(norm), g_(g) {}

  void at(const TimeBlock& b, kernels::Rows stream) {
    b_ = &b;
    stream_ = stream;
    forward_.at(b);
  }

  const float* mask() const { return forward_.mask(); }

  void recompute(std::size_t l) {
    v_ = forward_.normalize(l, z(l));
    branch_ = forward_.gate_values(l, v_, true);
    // The sum is needed only if it is normalised or quantized.
    if (p_.layer_norm_ || c_.residual.on) sum_ = forward_.add_residual(l, branch_);
  }

  void leave(std::size_t l) {
    if (!c_.residual.on) return;
    kernels::ConstRows n = sum_;
    if (p_.layer_norm_) {
      const kernels::Rows to = take(w_.temp, p_.H_, columns());
      forward_.layer_norm(l, sum_, to);
      n = to;
    }
    rounded_adjoint(c_.residual, p_.H_, columns(), n, stream_, g_ ? &g_->residual : nullptr);
  }

  void normalize_sum(std::size_t l) {
    if (!p_.layer_norm_) return;
    kernels::layer_norm_adjoint(c_.blocks[l].norm_scale.data(), p_.H_, columns(), sum_, stream_,
                                stream_, g_->blocks[l].gamma.data(), g_->blocks[l].beta.data());
  }

  /// The gradient of the branch; the gradient of the stream is kept separately.
  kernels::ConstRows add_residual(std::size_t l) {
    if (m_.dropout[l].empty()) return stream_;
    const kernels::Rows branch = take(w_.gs, p_.H_, columns());
    copy(p_.H_, columns(), stream_, branch);
    scale_lanes(m_.dropout[l], p_.H_, columns(), branch);
    return branch;
  }

  kernels::Rows gate(std::size_t l, kernels::ConstRows g) {
    const std::size_t H = p_.H_;
    const BlockQuantizers& q = c_.quantizers[l];
    const kernels::Rows gv = take(w_.gz, p_.O_, columns());
    if (p_.gated_) {
      const kernels::Rows gate{gv.row(H), gv.stride};
      kernels::multiply(H, columns(), g, branch_.gate, gv);
      kernels::multiply(H, columns(), g, branch_.z, gate);
      rounded_adjoint(q.gate, H, columns(), branch_.s, gate, nullptr);
      kernels::gate_adjoint(p_.gate_, H, columns(), branch_.s, gate, gate);
    } else {
      copy(H, columns(), g, gv);
    }
    rounded_adjoint(q.linear, p_.O_, columns(), v_, gv, g_ ? &g_->blocks[l].linear : nullptr);
    return gv;
  }

  kernels::Rows normalize(std::size_t l, kernels::Rows gv) {
    if (norm_ == nullptr || norm_->empty()) return gv;
    const std::size_t O = p_.O_;
    const float* map = norm_->data();
    kernels::affine_forward(map, map + 2 * O, O, columns(), gv, gv);
    kernels::accumulate(map + O, O, columns(), z(l), gv);
    mask_columns(mask(), O, columns(), gv);
    return gv;
  }

  kernels::Rows linear(std::size_t l, kernels::ConstRows gz) {
    const std::size_t S = p_.shape(l).size();
    BlockGradients& out = g_->blocks[l];
    const kernels::ConstRows a =
        rounded(c_.quantizers[l].activation, S, columns(), kept(m_.a[l], S), w_.aq);
    kernels::linear_adjoint_weight(p_.O_, S, columns(), gz, a, out.weight.data(), out.bias.data());
    const kernels::Rows ga = take(w_.gy, S, columns());
    kernels::linear_forward(c_.blocks[l].transposed.data(), nullptr, S, p_.O_, columns(), gz, ga);
    return ga;
  }

  kernels::Rows activate(std::size_t l, kernels::Rows g) {
    const std::size_t S = p_.shape(l).size();
    const BlockQuantizers& q = c_.quantizers[l];
    BlockGradients& out = g_->blocks[l];
    rounded_adjoint(q.activation, S, columns(), kept(m_.a[l], S), g, &out.activation);
    kernels::multiply(S, columns(), g, kept(m_.slope[l], S), g);
    if (q.ssm_output.on) {
      rounded_adjoint(q.ssm_output, S, columns(), kept(m_.y[l], S), g, &out.ssm_output);
    }
    return g;
  }

  /// Before the last block of time w.carry must be 0.
  void recur(std::size_t l, kernels::ConstRows gy) {
    const BlockShape& shape = p_.shape(l);
    const BlockCoefficients& c = c_.blocks[l];
    const std::size_t S = shape.size(), carry = kernels::scan_state_size(1);
    BlockGradients& out = g_->blocks[l];
    const kernels::ConstRows u = forward_.select(l);
    std::vector<double> unused(S);
    kernels::row_sums(S, columns(), nullptr, gy, u, unused.data(), out.d.data());
    take(w_.scan, b_->steps, kernels::kScanScratch);
    const float* start = forward_.checkpoint(l, b_->index);
    for (std::size_t s = 0; s < S; ++s) {
      const std::size_t at = shape.first[s];
      float* const gu = stream_.row(shape.channels[s]);
      kernels::accumulate(&c.d[s], 1, columns(), {gy.row(s), columns()}, {gu, columns()});
      kernels::scan_adjoint(
          p_.modes(l, s), forward_.rounding_of(l, at), b_->steps, u.row(s),
          start + at * p_.state_size_, gy.row(s), gu, w_.carry.data() + at * carry,
          {out.ar.data() + at, out.ai.data() + at, nullptr, out.cr.data() + at, out.ci.data() + at},
          w_.scan.data());
    }
  }

  /// Gradients of the encoder and, if they are quantized, of the inputs.
  void encoder() {
    const std::size_t H = p_.H_, inputs = p_.inputs();
    const kernels::ConstRows x = forward_.input();
    if (c_.residual.on) {
      rounded_adjoint(c_.residual, H, columns(), forward_.encode(x), stream_, &g_->residual);
    }
    kernels::linear_adjoint_weight(H, inputs, columns(), stream_, x, g_->encoder.data(),
                                   g_->encoder_bias.data());
    if (!c_.input.on) return;
    const kernels::Rows gx = take(w_.gs, inputs, columns());
    kernels::linear_forward(c_.encoder_transposed.data(), nullptr, inputs, H, columns(), stream_,
                            gx);
    const kernels::ConstRows values = b_->rows(p_.batch_.group(m_.group).data(), inputs);
    rounded_adjoint(c_.input, inputs, columns(), values, gx, &g_->input);
  }

 private:
  std::size_t columns() const { return b_->columns(); }
  kernels::ConstRows kept(const AlignedFloats& tensor, std::size_t rows) const {
    return b_->rows(tensor.data(), rows);
  }
  kernels::ConstRows z(std::size_t l) const { return kept(m_.z[l], p_.O_); }

  const GroupPass& p_;
  const Coefficients& c_;
  GroupMemory& m_;
  Scratch& w_;
  GroupForward forward_;
  const AlignedFloats* norm_;
  Gradients* g_;
  const TimeBlock* b_ = nullptr;
  kernels::Rows stream_;
  // Values computed by recompute().
  kernels::ConstRows v_ = kernels::Rows(), sum_ = kernels::Rows();
  GroupForward::Branch branch_ = {kernels::Rows(), kernels::Rows(), kernels::Rows()};
};

void GroupPass::norm_sums(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w, double* sum,
                          double* dot) const {
  GroupAdjoint adjoint(*this, m, w, nullptr, nullptr);
  for (const TimeBlock& b : blocks_) {
    const kernels::Rows stream = take(w.g, H_, b.columns());
    copy(H_, b.columns(), b.rows(std::as_const(gh).data(), H_), stream);
    adjoint.at(b, stream);
    const kernels::ConstRows z = b.rows(std::as_const(m.z[l]).data(), O_);
    kernels::row_sums(O_, b.columns(), adjoint.mask(), walk_back_to_norm(adjoint, l), z, sum, dot);
  }
}

void GroupPass::layer_adjoint(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w,
                              const AlignedFloats& norm, Gradients& g,
                              const AroundBlocks& around) const {
  GroupAdjoint adjoint(*this, m, w, &norm, &g);
  w.carry.assign(shape(l).modes() * kernels::scan_state_size(1), 0);
  for (std::size_t k = blocks_.size(); k-- > 0;) {
    const TimeBlock& b = blocks_[k];
    if (around.before) around.before(b);
    adjoint.at(b, around.passing ? kernels::Rows{gh.data(), b.columns()} : b.rows(gh.data(), H_));
    walk_back_from_norm(adjoint, l, walk_back_to_norm(adjoint, l));
    if (around.after) around.after(b);
  }
}

void GroupPass::encode_adjoint(GroupMemory& m, AlignedFloats& gh, Scratch& w, Gradients& g) const {
  GroupAdjoint adjoint(*this, m, w, nullptr, &g);
  for (const TimeBlock& b : blocks_) {
    adjoint.at(b, b.rows(gh.data(), H_));
    adjoint.encoder();
  }
}

}  // namespace crosstate::model
