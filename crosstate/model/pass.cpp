#include "crosstate/model/pass.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>

#include "crosstate/base/random.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/model/loss.h"

namespace crosstate {
namespace {

constexpr double kNormMomentum = 0.1;
constexpr double kNormEpsilon = 1e-5;

// A stretch of time of one group: the panels of a block lie one after another in every tensor.
struct Block {
  std::size_t index, start, steps;
  std::size_t columns() const { return steps * kLanes; }
  Rows rows(float* tensor, std::size_t channels) const {
    return {tensor + start * channels * kLanes, columns()};
  }
  ConstRows rows(const float* tensor, std::size_t channels) const {
    return {tensor + start * channels * kLanes, columns()};
  }
};

// What one group of sequences keeps between forward and adjoint.
struct GroupMemory {
  std::vector<AlignedFloats> h;             // [layers + 1]: the residual stream, panels of H rows
  std::vector<AlignedFloats> y;             // [layers]: SSM output before rounding
  std::vector<AlignedFloats> a, slope;      // [layers]: activation before rounding, training only
  std::vector<AlignedFloats> s;             // [layers]: gate before rounding, training only
  std::vector<AlignedFloats> z;             // [layers]: linear output, training only
  std::vector<AlignedFloats> checkpoints;   // [layers]: states at the start of each block
  std::vector<AlignedFloats> dropout;       // [layers]: [H][16] keep factors, empty without dropout
  std::array<std::uint32_t, kLanes> seeds;  // of the states' stochastic rounding
  AlignedFloats mask;                       // [length][16] of 0 and 1; empty: all 1
  AlignedFloats pool_weight;                // [length][16]: 1 where a step counts, 0 elsewhere
  std::array<double, kLanes> pool_count;    // steps that count
  std::vector<double> pooled;               // [H][16]: sums over them
};

// Panels of one block that are recomputed rather than kept.
struct Scratch {
  AlignedFloats x, pre, yq, a, aq, z, zn, zq, s, sq, r, g, gz, gs, gy, scan, carry, temp;
};

Rows take(AlignedFloats& memory, std::size_t rows, std::size_t columns) {
  if (memory.size() < rows * columns) memory.resize(rows * columns);
  return {memory.data(), columns};
}

// Rounds x into `to` where the quantizer is on; otherwise passes x through.
ConstRows rounded(const Quantizer& q, std::size_t rows, std::size_t columns, ConstRows x,
                  AlignedFloats& to) {
  if (!q.on) return x;
  const Rows out = take(to, rows, columns);
  fake_quantize_forward(q.scale.data(), q.low, q.high, rows, columns, x, out);
  return out;
}

// Adjoint in place on g, which straight-through estimators that pass leave as it is; adds the
// range's gradient.
void rounded_adjoint(const Quantizer& q, std::size_t rows, std::size_t columns, ConstRows x, Rows g,
                     double* range) {
  if (!q.on || (q.passes && range == nullptr)) return;
  thread_local AlignedFloats discarded;
  std::vector<double> by_row(rows, 0);
  fake_quantize_adjoint(q.scale.data(), q.low, q.high, rows, columns, x, g,
                        q.passes ? take(discarded, rows, columns) : g, by_row.data());
  if (range == nullptr) return;
  for (const double v : by_row) *range += v;
}

void copy(std::size_t rows, std::size_t columns, ConstRows from, Rows to) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::memcpy(to.row(r), from.row(r), columns * sizeof(float));
  }
}

// g[r][t][lane] *= factor[r][lane].
void scale_lanes(const AlignedFloats& factor, std::size_t rows, std::size_t columns, Rows g) {
  if (factor.empty()) return;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = g.row(r);
    const float* f = factor.data() + r * kLanes;
    for (std::size_t c = 0; c < columns; c += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) row[c + i] *= f[i];
    }
  }
}

void mask_columns(const float* mask, std::size_t rows, std::size_t columns, Rows g) {
  if (mask == nullptr) return;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = g.row(r);
    for (std::size_t c = 0; c < columns; ++c) row[c] *= mask[c];
  }
}

class Pass {
 public:
  Pass(const Network::State& state, const Coefficients& coefficients, const Batch& batch)
      : s_(state),
        c_(coefficients),
        batch_(batch),
        H_(state.channels()),
        M_(state.modes()),
        O_(state.linear_outputs()),
        layers_(state.blocks.size()),
        state_size_(scan_state_size(M_, coefficients.rounding.mode)),
        gain_(coefficients.rounding.limit > 0),
        complex_(state.complex()),
        gated_(state.gated()),
        batch_norm_(state.batch_norm()),
        layer_norm_(state.layer_norm()),
        activation_(activation_of(state.options)),
        gate_(gate_of(state.options)) {
    for (std::size_t t = 0; t < batch.length; t += batch.block_length) {
      blocks_.push_back({blocks_.size(), t, std::min(batch.block_length, batch.length - t)});
    }
  }

  void prepare(GroupMemory& m, std::size_t group, bool training) const {
    const std::size_t panel = batch_.length * kLanes;
    m.h.resize(layers_ + 1);
    for (AlignedFloats& h : m.h) h.resize(panel * H_);
    m.y.resize(layers_);
    for (AlignedFloats& y : m.y) y.resize(panel * H_);
    m.a.resize(training ? layers_ : 0);
    m.s.resize(training && gated_ ? layers_ : 0);
    m.slope.resize(m.a.size());
    for (AlignedFloats& a : m.a) a.resize(panel * H_);
    for (AlignedFloats& a : m.slope) a.resize(panel * H_);
    for (AlignedFloats& s : m.s) s.resize(panel * H_);
    m.z.resize(training ? layers_ : 0);
    for (AlignedFloats& z : m.z) z.resize(panel * O_);
    m.checkpoints.resize(layers_);
    const std::size_t kept = training ? blocks_.size() + 1 : 2;
    for (AlignedFloats& x : m.checkpoints) {
      x.resize(kept * H_ * state_size_);
      std::fill_n(x.begin(), H_ * state_size_, 0.0f);
    }
    m.seeds.fill(kDeployedSeed);
    m.mask.clear();
    const std::uint32_t* lengths = batch_.lengths.data() + group * kLanes;
    if (std::any_of(lengths, lengths + kLanes, [&](auto n) { return n < batch_.length; })) {
      m.mask.resize(panel);
      for (std::size_t t = 0; t < batch_.length; ++t) {
        for (std::size_t i = 0; i < kLanes; ++i) m.mask[t * kLanes + i] = t < lengths[i] ? 1 : 0;
      }
    }
    m.pool_weight.assign(panel, 0);
    m.pool_count.fill(1);
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t n = lengths[i];
      if (n == 0) continue;
      if (s_.options.pooling == "last") {
        m.pool_weight[(n - 1) * kLanes + i] = 1;
      } else {
        m.pool_count[i] = static_cast<double>(n);
        for (std::size_t t = 0; t < n; ++t) m.pool_weight[t * kLanes + i] = 1;
      }
    }
    m.dropout.resize(layers_);
    for (AlignedFloats& factors : m.dropout) factors.clear();
  }

  // Every sequence of every batch is rounded by draws of its own.
  static void draw_seeds(GroupMemory& m, std::size_t group, const LossOptions& loss) {
    Random random(loss.seed, Stream::kStateRounding, static_cast<std::uint32_t>(loss.step),
                  static_cast<std::uint32_t>(group));
    for (std::uint32_t& seed : m.seeds) seed = random.bits();
  }

  // One draw per sequence, channel and layer, held over time.
  void draw_dropout(GroupMemory& m, std::size_t group, const LossOptions& loss) const {
    if (s_.options.dropout == 0) return;
    const auto keep = static_cast<float>(1 - s_.options.dropout);
    for (std::size_t l = 0; l < layers_; ++l) {
      Random random(loss.seed, Stream::kDropout, static_cast<std::uint32_t>(loss.step),
                    static_cast<std::uint32_t>(group * layers_ + l));
      m.dropout[l].resize(H_ * kLanes);
      for (float& f : m.dropout[l]) {
        f = random.uniform() < static_cast<double>(keep) ? 1 / keep : 0;
      }
    }
  }

  void encode(GroupMemory& m, std::size_t group, Scratch& w, Spreads* spreads) const {
    for (const Block& b : blocks_) {
      const ConstRows x = encoder_input(group, b, w);
      const ConstRows pre = encoder_output(b, x, w);
      if (spreads != nullptr) {
        observe(b, m, inputs(), x, spreads->input);
        observe(b, m, H_, pre, spreads->residual);
      }
      finish(c_.residual, H_, b, pre, b.rows(m.h[0].data(), H_));
    }
  }

  // Scan, activation and linear layer of one block; leaves z in `w.z` or, while training, in the
  // group's memory.
  Rows head(std::size_t l, const Block& b, GroupMemory& m, Scratch& w, bool training,
            Spreads* spreads) const {
    const BlockCoefficients& c = c_.blocks[l];
    const ConstRows u = b.rows(std::as_const(m.h[l]).data(), H_);
    const Rows y = b.rows(m.y[l].data(), H_);
    affine_forward(c.d.data(), nullptr, H_, b.columns(), u, y);
    const float* before = checkpoint(m, l, b.index, training);
    float* after = checkpoint(m, l, b.index + 1, training);
    std::memcpy(after, before, H_ * state_size_ * sizeof(float));
    for (std::size_t h = 0; h < H_; ++h) {
      const ScanModes modes = c.scan(h, M_, complex_, gain_);
      const StateRounding rounding = rounding_of(m, l, h, b.start);
      float* state = after + h * state_size_;
      if (spreads == nullptr) {
        scan_forward(modes, rounding, b.steps, u.row(h), y.row(h), state);
      } else {
        observe_states(modes, rounding, b, mask(m, b), u.row(h), y.row(h), state,
                       &spreads->blocks[l].state[h * M_]);
      }
    }
    const ConstRows a = activate(l, b, y, m, w);
    const Rows z = training ? b.rows(m.z[l].data(), O_) : take(w.z, O_, b.columns());
    linear_forward(c.weight.data(), c.bias.data(), O_, H_, b.columns(), a, z);
    if (spreads != nullptr) {
      observe(b, m, H_, y, spreads->blocks[l].ssm_output);
      observe(b, m, H_, a, spreads->blocks[l].activation);
      observe(b, m, O_, z, spreads->blocks[l].linear);
    }
    return z;
  }

  // Norm, gate and residual sum of one block, into the next residual stream.
  void tail(std::size_t l, const Block& b, ConstRows z, GroupMemory& m, Scratch& w,
            Spreads* spreads) const {
    const Tail t = tail_values(l, b, z, m, w, false);
    const Rows out = b.rows(m.h[l + 1].data(), H_);
    if (layer_norm_) normalise(l, b, t.r, out);
    if (spreads != nullptr) observe(b, m, H_, layer_norm_ ? out : t.r, spreads->residual);
    finish(c_.residual, H_, b, layer_norm_ ? out : t.r, out);
  }

  void layer_forward(std::size_t l, GroupMemory& m, Scratch& w, Spreads* spreads) const {
    for (const Block& b : blocks_) tail(l, b, head(l, b, m, w, false, spreads), m, w, spreads);
  }

  // Sum (or last value) over each sequence's own length. Sums of codes are exact: the integer
  // network's pool is this one.
  void pool(GroupMemory& m) const {
    m.pooled.assign(H_ * kLanes, 0);
    for (const Block& b : blocks_) {
      const ConstRows h = b.rows(std::as_const(m.h[layers_]).data(), H_);
      const float* weight = m.pool_weight.data() + b.start * kLanes;
      for (std::size_t r = 0; r < H_; ++r) {
        double* sum = m.pooled.data() + r * kLanes;
        for (std::size_t c = 0; c < b.columns(); c += kLanes) {
          for (std::size_t i = 0; i < kLanes; ++i) {
            sum[i] += static_cast<double>(weight[c + i] * h.row(r)[c + i]);
          }
        }
      }
    }
  }

  // Loss of one group; gradients of logits (not yet divided by the batch) if wanted.
  BatchResult decode(const GroupMemory& m, std::size_t group, const LossOptions& loss,
                     float* logits, std::vector<double>* glogits) const {
    const auto classes = static_cast<std::size_t>(s_.task.classes);
    BatchResult result;
    if (glogits != nullptr) glogits->assign(classes * kLanes, 0);
    std::vector<float> out(classes);
    std::vector<double> slope(glogits == nullptr ? 0 : classes);
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t sequence = group * kLanes + i;
      const std::int32_t label = batch_.labels[sequence];
      if (label < 0) continue;
      for (std::size_t k = 0; k < classes; ++k) {
        double sum = m.pool_count[i] * c_.decoder_bias[k];
        for (std::size_t h = 0; h < H_; ++h) {
          sum += c_.decoder[k * H_ + h] * m.pooled[h * kLanes + i];
        }
        out[k] = static_cast<float>(sum / m.pool_count[i]);
      }
      if (logits != nullptr) std::copy(out.begin(), out.end(), logits + i * classes);
      const auto top = std::max_element(out.begin(), out.end());
      const auto truth = static_cast<std::size_t>(label);
      result.correct += static_cast<std::size_t>(top - out.begin()) == truth;
      std::span<const float> teacher = loss.teacher;
      if (!teacher.empty()) teacher = teacher.subspan(sequence * classes, classes);
      result.loss += classification_loss(out, truth, loss, teacher, slope);
      for (std::size_t k = 0; k < slope.size(); ++k) (*glogits)[k * kLanes + i] = slope[k];
    }
    return result;
  }

  // dL/d(residual stream after the last layer), into gh.
  void decode_adjoint(const GroupMemory& m, const std::vector<double>& glogits, Gradients& g,
                      AlignedFloats& gh) const {
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
    for (const Block& b : blocks_) {
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

  // Batch norm's two sums over one group: of the gradient at its output, and of that times z.
  void norm_sums(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w, double* sum,
                 double* dot) const {
    for (const Block& b : blocks_) {
      const ConstRows z = b.rows(std::as_const(m.z[l]).data(), O_);
      const Rows gr = take(w.g, H_, b.columns());
      copy(H_, b.columns(), b.rows(std::as_const(gh).data(), H_), gr);
      const Rows gz = tail_adjoint(l, b, z, m, w, gr, nullptr);
      row_sums(O_, b.columns(), mask(m, b), gz, z, sum, dot);
    }
  }

  // Adjoint of one layer: gh, the gradient after it, becomes the gradient before it. `norm` holds
  // batch norm's map g -> k0 g + k1 z + k2 per row ([3][O]), empty otherwise.
  void layer_adjoint(std::size_t l, GroupMemory& m, AlignedFloats& gh, Scratch& w,
                     const AlignedFloats& norm, Gradients& g) const {
    const std::size_t carry = scan_state_size(M_);
    const BlockCoefficients& c = c_.blocks[l];
    const BlockQuantizers& q = c_.quantizers[l];
    BlockGradients& out = g.blocks[l];
    w.carry.assign(H_ * carry, 0);
    for (std::size_t k = blocks_.size(); k-- > 0;) {
      const Block& b = blocks_[k];
      const std::size_t columns = b.columns();
      const ConstRows y = b.rows(std::as_const(m.y[l]).data(), H_);
      const ConstRows aq =
          rounded(q.activation, H_, columns, b.rows(std::as_const(m.a[l]).data(), H_), w.aq);
      const Rows z = b.rows(m.z[l].data(), O_);
      const Rows gr = b.rows(gh.data(), H_);
      const Rows gz = tail_adjoint(l, b, z, m, w, gr, &g);
      if (!norm.empty()) {
        affine_forward(&norm[0], &norm[2 * O_], O_, columns, gz, gz);
        accumulate(&norm[O_], O_, columns, z, gz);
        mask_columns(mask(m, b), O_, columns, gz);
      }
      linear_adjoint_weight(O_, H_, columns, gz, aq, out.weight.data(), out.bias.data());

      const Rows gy = take(w.gy, H_, columns);
      linear_forward(c.transposed.data(), nullptr, H_, O_, columns, gz, gy);
      rounded_adjoint(q.activation, H_, columns, b.rows(std::as_const(m.a[l]).data(), H_), gy,
                      &out.activation);
      multiply(H_, columns, gy, b.rows(std::as_const(m.slope[l]).data(), H_), gy);
      rounded_adjoint(q.ssm_output, H_, columns, y, gy, &out.ssm_output);

      const ConstRows u = b.rows(std::as_const(m.h[l]).data(), H_);
      std::vector<double> unused(H_);
      row_sums(H_, columns, nullptr, gy, u, unused.data(), out.d.data());
      accumulate(c.d.data(), H_, columns, gy, gr);
      take(w.scan, b.steps, kScanScratch);
      const float* start = checkpoint(m, l, b.index, true);
      for (std::size_t h = 0; h < H_; ++h) {
        const std::size_t at = h * M_;
        scan_adjoint(c.scan(h, M_, complex_, gain_), rounding_of(m, l, h, b.start), b.steps,
                     u.row(h), start + h * state_size_, gy.row(h), gr.row(h),
                     w.carry.data() + h * carry,
                     {&out.ar[at], &out.ai[at], nullptr, &out.cr[at], &out.ci[at]}, w.scan.data());
      }
    }
  }

  void encode_adjoint(std::size_t group, AlignedFloats& gh, Scratch& w, Gradients& g) const {
    for (const Block& b : blocks_) {
      const ConstRows x = encoder_input(group, b, w);
      const Rows gr = b.rows(gh.data(), H_);
      if (c_.residual.on) {
        rounded_adjoint(c_.residual, H_, b.columns(), encoder_output(b, x, w), gr, &g.residual);
      }
      linear_adjoint_weight(H_, inputs(), b.columns(), gr, x, g.encoder.data(),
                            g.encoder_bias.data());
      if (c_.input.on) {
        const Rows gx = take(w.gs, inputs(), b.columns());
        linear_forward(c_.encoder_transposed.data(), nullptr, inputs(), H_, b.columns(), gr, gx);
        rounded_adjoint(c_.input, inputs(), b.columns(),
                        b.rows(batch_.group(group).data(), inputs()), gx, &g.input);
      }
    }
  }

  const std::vector<Block>& blocks() const { return blocks_; }
  static const float* mask(const GroupMemory& m, const Block& b) {
    return m.mask.empty() ? nullptr : m.mask.data() + b.start * kLanes;
  }

 private:
  struct Tail {
    ConstRows zn, zq, s, sq;
    Rows r;
  };

  std::size_t inputs() const { return static_cast<std::size_t>(s_.task.inputs); }

  float* checkpoint(GroupMemory& m, std::size_t l, std::size_t block, bool training) const {
    return m.checkpoints[l].data() + (training ? block : block % 2) * H_ * state_size_;
  }

  // How the states of one channel are rounded from a step on.
  StateRounding rounding_of(const GroupMemory& m, std::size_t l, std::size_t h,
                            std::size_t step) const {
    StateRounding rounding = c_.rounding;
    rounding.draws = {m.seeds.data(), static_cast<std::uint32_t>((l * H_ + h) * M_),
                      static_cast<std::uint32_t>(step)};
    return rounding;
  }

  ConstRows encoder_input(std::size_t group, const Block& b, Scratch& w) const {
    return rounded(c_.input, inputs(), b.columns(), b.rows(batch_.group(group).data(), inputs()),
                   w.x);
  }

  ConstRows encoder_output(const Block& b, ConstRows x, Scratch& w) const {
    const Rows pre = take(w.pre, H_, b.columns());
    linear_forward(c_.encoder.data(), c_.encoder_bias.data(), H_, inputs(), b.columns(), x, pre);
    return pre;
  }

  static void finish(const Quantizer& q, std::size_t rows, const Block& b, ConstRows x, Rows to) {
    if (q.on) {
      fake_quantize_forward(q.scale.data(), q.low, q.high, rows, b.columns(), x, to);
    } else if (x.data != to.data) {
      copy(rows, b.columns(), x, to);
    }
  }

  // Layer norm of a residual sum.
  void normalise(std::size_t l, const Block& b, ConstRows r, Rows to) const {
    const BlockCoefficients& c = c_.blocks[l];
    layer_norm_forward(c.norm_scale.data(), c.norm_shift.data(), H_, b.columns(), r, to);
  }

  // The linear layer's input; the activation is kept for the adjoint while training.
  ConstRows activate(std::size_t l, const Block& b, ConstRows y, GroupMemory& m, Scratch& w) const {
    const BlockQuantizers& q = c_.quantizers[l];
    const ConstRows yq = rounded(q.ssm_output, H_, b.columns(), y, w.yq);
    if (m.a.empty()) {
      const Rows a = take(w.a, H_, b.columns());
      if (look_up(q.activation_table, H_, b.columns(), yq, a)) return a;
      activation_forward(activation_, H_, b.columns(), yq, a);
      return rounded(q.activation, H_, b.columns(), a, w.aq);
    }
    const Rows a = b.rows(m.a[l].data(), H_);
    activation_with_slope(activation_, H_, b.columns(), yq, a, b.rows(m.slope[l].data(), H_));
    return rounded(q.activation, H_, b.columns(), a, w.aq);
  }

  // `again`: the forward pass has kept the gate's values.
  Tail tail_values(std::size_t l, const Block& b, ConstRows z, GroupMemory& m, Scratch& w,
                   bool again) const {
    const BlockCoefficients& c = c_.blocks[l];
    const BlockQuantizers& q = c_.quantizers[l];
    const std::size_t columns = b.columns();
    ConstRows zn = z;
    if (batch_norm_) {
      const Rows to = take(w.zn, O_, columns);
      affine_forward(c.norm_scale.data(), c.norm_shift.data(), O_, columns, z, to);
      zn = to;
    }
    const ConstRows zq = rounded(q.linear, O_, columns, zn, w.zq);
    const Rows r = take(w.r, H_, columns);
    const ConstRows h = b.rows(m.h[l].data(), H_);
    // The adjoint needs the sum only where a norm or a rounding follows it.
    const bool wanted = !again || layer_norm_ || c_.residual.on;
    const bool dropped = !m.dropout[l].empty();
    ConstRows s = zq, sq = zq;
    if (gated_) {
      const ConstRows gate(zq.row(H_), zq.stride);
      const Rows to = m.s.empty() ? take(w.s, H_, columns) : b.rows(m.s[l].data(), H_);
      // While training, values before rounding are kept for the adjoint.
      const bool final_values = m.s.empty() && look_up(q.gate_table, H_, columns, gate, to);
      if (!again && !final_values) activation_forward(gate_, H_, columns, gate, to);
      s = to;
      sq = final_values ? s : rounded(q.gate, H_, columns, s, w.sq);
      if (wanted && dropped) multiply(H_, columns, zq, sq, r);
      if (wanted && !dropped) multiply_add(H_, columns, zq, sq, h, r);
    } else if (wanted) {
      copy(H_, columns, zq, r);
    }
    if (wanted && (dropped || !gated_)) {
      scale_lanes(m.dropout[l], H_, columns, r);
      accumulate(nullptr, H_, columns, h, r);
    }
    return {zn, zq, s, sq, r};
  }

  // From the gradient after the block (gr) to that of the norm's output (returned); gr becomes the
  // gradient that the residual path carries. g null: no sums are kept.
  Rows tail_adjoint(std::size_t l, const Block& b, ConstRows z, GroupMemory& m, Scratch& w, Rows gr,
                    Gradients* g) const {
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

  // Steps one at a time, so that every state passes by.
  void observe_states(const ScanModes& modes, StateRounding rounding, const Block& b,
                      const float* used, const float* u, float* y, float* state,
                      float* spreads) const {
    for (std::size_t t = 0; t < b.steps; ++t, ++rounding.draws.first_step) {
      scan_forward(modes, rounding, 1, u + t * kLanes, y + t * kLanes, state);
      for (std::size_t n = 0; n < M_; ++n) {
        for (std::size_t i = 0; i < 2 * kLanes; ++i) {
          if (used != nullptr && used[t * kLanes + i % kLanes] == 0) continue;
          spreads[n] = std::max(spreads[n], std::abs(state[n * 2 * kLanes + i]));
        }
      }
    }
  }

  // Adds the values of a panel to a spread: their extremes or, where those are known, a histogram.
  static void observe(const Block& b, const GroupMemory& m, std::size_t rows, ConstRows x,
                      Spread& to) {
    const float* used = mask(m, b);
    const double bins = static_cast<double>(to.histogram.size());
    const double per_value = bins / std::max(1e-30, static_cast<double>(to.high) - to.low);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < b.columns(); ++c) {
        if (used != nullptr && used[c] == 0) continue;
        const float v = x.row(r)[c];
        if (!to.histogram.empty()) {
          const double bin = std::clamp((v - to.low) * per_value, 0.0, bins - 1);
          ++to.histogram[static_cast<std::size_t>(bin)];
          continue;
        }
        to.low = std::min(to.low, v);
        to.high = std::max(to.high, v);
        to.squares += static_cast<double>(v) * v;
        ++to.count;
      }
    }
  }

  const Network::State& s_;
  const Coefficients& c_;
  const Batch& batch_;
  std::size_t H_, M_, O_, layers_;
  std::size_t state_size_;  // of a channel, residues included
  bool gain_;               // rounded states are in steps, so the input has a gain
  bool complex_, gated_, batch_norm_, layer_norm_;
  Activation activation_, gate_;
  std::vector<Block> blocks_;
};

BatchResult mean(const std::vector<BatchResult>& parts, std::size_t count) {
  BatchResult total;
  for (const BatchResult& r : parts) {
    total.loss += r.loss;
    total.correct += r.correct;
  }
  total.loss /= static_cast<double>(count);
  return total;
}

// Batch statistics of layer l from the groups' sums; sets the affine map that this batch uses, and
// moves the running statistics by `momentum`.
void set_batch_statistics(Network::State& s, std::size_t l, const std::vector<double>& sum,
                          const std::vector<double>& squares, double n, double momentum,
                          BlockCoefficients& c, std::vector<double>& mean_out,
                          std::vector<double>& deviation_out) {
  const BlockParameters& p = s.blocks[l];
  for (std::size_t o = 0; o < sum.size(); ++o) {
    const double mu = sum[o] / n;
    const double variance = std::max(0.0, squares[o] / n - mu * mu);
    mean_out[o] = mu;
    deviation_out[o] = std::sqrt(variance + kNormEpsilon);
    const double scale = s.parameters[p.gamma].value[o] / deviation_out[o];
    c.norm_scale[o] = static_cast<float>(scale);
    c.norm_shift[o] = static_cast<float>(s.parameters[p.beta].value[o] - scale * mu);
    float& running_mean = s.statistics[l].mean[o];
    float& running_variance = s.statistics[l].variance[o];
    const auto share = static_cast<float>(momentum);
    running_mean += share * (static_cast<float>(mu) - running_mean);
    running_variance += share * (static_cast<float>(variance) - running_variance);
  }
}

// Batch norm's adjoint as one affine map of (gradient, z) per row, and its parameter gradients.
AlignedFloats norm_adjoint_map(const std::vector<double>& sum, const std::vector<double>& dot,
                               const std::vector<double>& mean,
                               const std::vector<double>& deviation, double n,
                               const BlockCoefficients& c, BlockGradients& g) {
  const std::size_t outputs = sum.size();
  AlignedFloats map(3 * outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    const double ggamma = (dot[o] - mean[o] * sum[o]) / deviation[o];
    g.gamma[o] += ggamma;
    g.beta[o] += sum[o];
    const double scale = c.norm_scale[o];
    const double slope = ggamma / n / deviation[o];
    map[o] = static_cast<float>(scale);
    map[outputs + o] = static_cast<float>(-scale * slope);
    map[2 * outputs + o] = static_cast<float>(-scale * (sum[o] / n - mean[o] * slope));
  }
  return map;
}

}  // namespace

Spreads::Spreads(const Network::State& state) {
  blocks.resize(state.blocks.size());
  for (Block& b : blocks) b.state.assign(state.channels() * state.modes(), 0);
}

Spread& Spread::operator|=(const Spread& other) {
  low = std::min(low, other.low);
  high = std::max(high, other.high);
  squares += other.squares;
  count += other.count;
  histogram.resize(std::max(histogram.size(), other.histogram.size()), 0);
  for (std::size_t i = 0; i < other.histogram.size(); ++i) histogram[i] += other.histogram[i];
  return *this;
}

Spreads& Spreads::operator|=(const Spreads& other) {
  input |= other.input;
  residual |= other.residual;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    Block& a = blocks[l];
    const Block& b = other.blocks[l];
    a.ssm_output |= b.ssm_output;
    a.activation |= b.activation;
    a.linear |= b.linear;
    for (std::size_t i = 0; i < a.state.size(); ++i) a.state[i] = std::max(a.state[i], b.state[i]);
  }
  return *this;
}

BatchResult forward_batch(const Network::State& state, const Coefficients& coefficients,
                          const Batch& batch, ThreadPool& pool, std::vector<float>* logits) {
  const Pass pass(state, coefficients, batch);
  const auto classes = static_cast<std::size_t>(state.task.classes);
  std::vector<float> all(logits == nullptr ? 0 : batch.groups * kLanes * classes);
  std::vector<BatchResult> results(batch.groups);
  std::vector<GroupMemory> memory(static_cast<std::size_t>(pool.size()));
  std::vector<Scratch> scratch(memory.size());
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    GroupMemory& m = memory[static_cast<std::size_t>(worker)];
    Scratch& w = scratch[static_cast<std::size_t>(worker)];
    pass.prepare(m, g, false);
    pass.encode(m, g, w, nullptr);
    for (std::size_t l = 0; l < state.blocks.size(); ++l) pass.layer_forward(l, m, w, nullptr);
    pass.pool(m);
    results[g] =
        pass.decode(m, g, {}, logits == nullptr ? nullptr : &all[g * kLanes * classes], nullptr);
  });
  if (logits != nullptr) {
    all.resize(batch.count * classes);
    *logits = std::move(all);
  }
  return mean(results, batch.count);
}

namespace {

// Every spread of one forward pass, on top of what `start` holds.
Spreads forward_spreads(const Network::State& state, const Coefficients& coefficients,
                        std::span<const Batch> batches, ThreadPool& pool, const Spreads& start) {
  Spreads all = start;
  for (const Batch& batch : batches) {
    const Pass pass(state, coefficients, batch);
    const auto workers = static_cast<std::size_t>(pool.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    std::vector<Spreads> spreads(batch.groups, start);
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      const auto i = static_cast<std::size_t>(worker);
      pass.prepare(memory[i], g, false);
      pass.encode(memory[i], g, scratch[i], &spreads[g]);
      for (std::size_t l = 0; l < state.blocks.size(); ++l) {
        pass.layer_forward(l, memory[i], scratch[i], &spreads[g]);
      }
    });
    for (const Spreads& s : spreads) all |= s;
  }
  return all;
}

template <class F>
void for_each(Spreads& spreads, F f) {
  f(spreads.input);
  f(spreads.residual);
  for (Spreads::Block& b : spreads.blocks) {
    for (Spread* s : {&b.ssm_output, &b.activation, &b.linear}) f(*s);
  }
}

}  // namespace

Spreads measure_spreads(const Network::State& state, const Coefficients& coefficients,
                        std::span<const Batch> batches, ThreadPool& pool, bool histograms) {
  Spreads spreads = forward_spreads(state, coefficients, batches, pool, Spreads(state));
  if (!histograms) return spreads;
  Spreads ranges = spreads;
  for_each(ranges, [](Spread& s) {
    s.squares = s.count = 0;
    s.histogram.assign(kSpreadBins, 0);
  });
  Spreads counted = forward_spreads(state, coefficients, batches, pool, ranges);
  for_each(counted, [](Spread& s) { s.squares = s.count = 0; });
  spreads |= counted;
  return spreads;
}

namespace {

using Sums = std::vector<std::vector<double>>;

std::vector<double> total(const Sums& parts) {
  std::vector<double> all(parts.front().size(), 0);
  for (const auto& part : parts) {
    for (std::size_t o = 0; o < all.size(); ++o) all[o] += part[o];
  }
  return all;
}

struct TrainingMemory {
  std::vector<GroupMemory> groups;
  std::vector<AlignedFloats> gradient;
  std::vector<Scratch> scratch;
};

// Kept between calls: allocating and touching fresh pages would cost as much as a layer.
TrainingMemory& training_memory(std::size_t groups, const ThreadPool& pool) {
  thread_local TrainingMemory memory;
  memory.groups.resize(std::max(memory.groups.size(), groups));
  memory.gradient.resize(memory.groups.size());
  const auto workers = static_cast<std::size_t>(pool.size());
  memory.scratch.resize(std::max(memory.scratch.size(), workers));
  return memory;
}

// Of one batch, by layer and row.
struct NormMoments {
  Sums mean, deviation;
  double count = 0;
};

// Forward up to the last linear layer, with norms that take the statistics of the whole batch: the
// groups meet before each of them. `begin` prepares a group and encodes its input.
template <class Begin>
NormMoments forward_to_last_norm(const Pass& pass, Network::State& state,
                                 Coefficients& coefficients, const Batch& batch, double momentum,
                                 const Begin& begin, TrainingMemory& kept, ThreadPool& pool) {
  const std::size_t layers = state.blocks.size(), outputs = state.linear_outputs();
  const Sums zeros(batch.groups, std::vector<double>(outputs, 0));
  NormMoments moments;
  moments.mean = moments.deviation = Sums(layers, std::vector<double>(outputs));
  for (const std::uint32_t length : batch.lengths) moments.count += length;
  for (std::size_t l = 0; l < layers; ++l) {
    Sums sum = zeros, squares = zeros;
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      Scratch& w = kept.scratch[static_cast<std::size_t>(worker)];
      GroupMemory& m = kept.groups[g];
      if (l == 0) begin(g, w);
      for (const Block& b : pass.blocks()) {
        if (l > 0) {
          pass.tail(l - 1, b, b.rows(std::as_const(m.z[l - 1]).data(), outputs), m, w, nullptr);
        }
        const Rows z = pass.head(l, b, m, w, true, nullptr);
        row_sums(outputs, b.columns(), Pass::mask(m, b), z, z, sum[g].data(), squares[g].data());
      }
    });
    set_batch_statistics(state, l, total(sum), total(squares), moments.count, momentum,
                         coefficients.blocks[l], moments.mean[l], moments.deviation[l]);
  }
  return moments;
}

}  // namespace

void measure_norms(Network::State& state, Coefficients& coefficients, const Batch& batch,
                   double momentum, ThreadPool& pool) {
  const Pass pass(state, coefficients, batch);
  TrainingMemory& kept = training_memory(batch.groups, pool);
  const auto begin = [&](std::size_t g, Scratch& w) {
    pass.prepare(kept.groups[g], g, true);
    pass.encode(kept.groups[g], g, w, nullptr);
  };
  forward_to_last_norm(pass, state, coefficients, batch, momentum, begin, kept, pool);
}

BatchResult train_batch(Network::State& state, Coefficients& coefficients, const Batch& batch,
                        const LossOptions& loss, ThreadPool& pool) {
  const Pass pass(state, coefficients, batch);
  const std::size_t groups = batch.groups, layers = state.blocks.size();
  const std::size_t outputs = state.linear_outputs();
  const bool batch_norm = state.batch_norm();
  TrainingMemory& kept = training_memory(groups, pool);
  std::vector<GroupMemory>& mem = kept.groups;
  std::vector<AlignedFloats>& gradient = kept.gradient;
  std::vector<Scratch>& work = kept.scratch;

  std::vector<Gradients> sums(groups, Gradients(state));
  std::vector<BatchResult> results(groups);
  const Sums zeros(groups, std::vector<double>(outputs, 0));
  NormMoments moments;

  // Forward. Without batch norm a group runs through all layers at once; with it, the groups meet
  // before every norm.
  const auto begin = [&](std::size_t g, Scratch& w) {
    pass.prepare(mem[g], g, true);
    Pass::draw_seeds(mem[g], g, loss);
    pass.draw_dropout(mem[g], g, loss);
    pass.encode(mem[g], g, w, nullptr);
  };
  const auto end = [&](std::size_t g) {
    pass.pool(mem[g]);
    std::vector<double> glogits;
    results[g] = pass.decode(mem[g], g, loss, nullptr, &glogits);
    pass.decode_adjoint(mem[g], glogits, sums[g], gradient[g]);
  };
  if (!batch_norm) {
    pool.parallel_for(groups, [&](std::size_t g, int worker) {
      Scratch& w = work[static_cast<std::size_t>(worker)];
      begin(g, w);
      for (std::size_t l = 0; l < layers; ++l) {
        for (const Block& b : pass.blocks()) {
          pass.tail(l, b, pass.head(l, b, mem[g], w, true, nullptr), mem[g], w, nullptr);
        }
      }
      end(g);
      for (std::size_t l = layers; l-- > 0;) {
        pass.layer_adjoint(l, mem[g], gradient[g], w, {}, sums[g]);
      }
      pass.encode_adjoint(g, gradient[g], w, sums[g]);
    });
  } else {
    moments =
        forward_to_last_norm(pass, state, coefficients, batch, kNormMomentum, begin, kept, pool);
    pool.parallel_for(groups, [&](std::size_t g, int worker) {
      Scratch& w = work[static_cast<std::size_t>(worker)];
      for (const Block& b : pass.blocks()) {
        pass.tail(layers - 1, b, b.rows(std::as_const(mem[g].z[layers - 1]).data(), outputs),
                  mem[g], w, nullptr);
      }
      end(g);
    });
    for (std::size_t l = layers; l-- > 0;) {
      Sums sum = zeros, dot = zeros;
      pool.parallel_for(groups, [&](std::size_t g, int worker) {
        pass.norm_sums(l, mem[g], gradient[g], work[static_cast<std::size_t>(worker)],
                       sum[g].data(), dot[g].data());
      });
      const AlignedFloats map =
          norm_adjoint_map(total(sum), total(dot), moments.mean[l], moments.deviation[l],
                           moments.count, coefficients.blocks[l], sums[0].blocks[l]);
      pool.parallel_for(groups, [&](std::size_t g, int worker) {
        Scratch& w = work[static_cast<std::size_t>(worker)];
        pass.layer_adjoint(l, mem[g], gradient[g], w, map, sums[g]);
        if (l == 0) pass.encode_adjoint(g, gradient[g], w, sums[g]);
      });
    }
  }

  for (std::size_t g = 1; g < groups; ++g) sums[0] += sums[g];
  for (Parameter& p : state.parameters) std::fill(p.gradient.begin(), p.gradient.end(), 0.0);
  backpropagate(sums[0], 1 / static_cast<double>(batch.count), state);
  return mean(results, batch.count);
}

}  // namespace crosstate
