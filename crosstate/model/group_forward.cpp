#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "crosstate/base/random.h"
#include "crosstate/kernels/noise.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/model/group_pass.h"
#include "crosstate/model/panels.h"

namespace crosstate {
namespace {

// Rows of conversions have numbers beyond those of modes, which draw from the same space.
constexpr std::size_t kFirstConvertedRow = std::size_t{1} << 31, kRowsOfSite = std::size_t{1} << 16;
constexpr std::size_t kEncoderSite = 0;
std::size_t output_site(std::size_t layer) { return 1 + 2 * layer; }
std::size_t linear_site(std::size_t layer) { return 2 + 2 * layer; }

}  // namespace

GroupPass::GroupPass(const Network::State& state, const Coefficients& coefficients,
                     const Batch& batch)
    : s_(state),
      c_(coefficients),
      batch_(batch),
      H_(state.channels()),
      O_(state.linear_outputs()),
      layers_(state.blocks.size()),
      state_size_(scan_state_size(1, coefficients.rounding.mode)),
      gain_(coefficients.rounding.limit > 0),
      complex_(state.complex()),
      gated_(state.gated()),
      batch_norm_(state.batch_norm()),
      layer_norm_(state.layer_norm()),
      activation_(activation_of(state.options)),
      gate_(gate_of(state.options)) {
  for (std::size_t l = 0; l < layers_; ++l) first_modes_.push_back(state.first_mode(l));
  for (std::size_t t = 0; t < batch.length; t += batch.block_length) {
    blocks_.push_back({blocks_.size(), t, std::min(batch.block_length, batch.length - t)});
  }
}

void GroupPass::prepare(GroupMemory& m, std::size_t group, bool training) const {
  const std::size_t panel = batch_.length * kLanes;
  m.h.resize(layers_ + 1);
  for (AlignedFloats& h : m.h) h.resize(panel * H_);
  m.y.resize(layers_);
  for (std::size_t l = 0; l < layers_; ++l) m.y[l].resize(panel * shape(l).size());
  m.a.resize(training ? layers_ : 0);
  m.s.resize(training && gated_ ? layers_ : 0);
  m.slope.resize(m.a.size());
  for (std::size_t l = 0; l < m.a.size(); ++l) {
    m.a[l].resize(panel * shape(l).size());
    m.slope[l].resize(m.a[l].size());
  }
  for (AlignedFloats& s : m.s) s.resize(panel * H_);
  m.z.resize(training ? layers_ : 0);
  for (AlignedFloats& z : m.z) z.resize(panel * O_);
  m.checkpoints.resize(layers_);
  const std::size_t kept = training ? blocks_.size() + 1 : 2;
  for (std::size_t l = 0; l < layers_; ++l) {
    m.checkpoints[l].resize(kept * states_of(l));
    std::fill_n(m.checkpoints[l].begin(), states_of(l), 0.0f);
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

void GroupPass::draw_seeds(GroupMemory& m, std::size_t group, const LossOptions& loss) {
  Random random(loss.seed, Stream::kStateRounding, static_cast<std::uint32_t>(loss.step),
                static_cast<std::uint32_t>(group));
  for (std::uint32_t& seed : m.seeds) seed = random.bits();
}

void GroupPass::draw_dropout(GroupMemory& m, std::size_t group, const LossOptions& loss) const {
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

void GroupPass::encode(GroupMemory& m, std::size_t group, Scratch& w, Observers* observers) const {
  for (const TimeBlock& b : blocks_) {
    const ConstRows x = encoder_input(group, b, w);
    const ConstRows pre = encoder_output(b, x, m, w);
    if (observers != nullptr) {
      observe(b, m, inputs(), x, observers->input);
      observe(b, m, H_, pre, observers->residual);
    }
    finish(c_.residual, H_, b, pre, b.rows(m.h[0].data(), H_));
  }
}

Rows GroupPass::head(std::size_t l, const TimeBlock& b, GroupMemory& m, Scratch& w, bool training,
                     Observers* observers) const {
  const BlockCoefficients& c = c_.blocks[l];
  const BlockShape& shape = s_.shapes[l];
  const std::size_t S = shape.size();
  const ConstRows u = recurrence_input(l, b, m, w);
  const Rows y = b.rows(m.y[l].data(), S);
  affine_forward(c.d.data(), nullptr, S, b.columns(), u, y);
  const float* before = checkpoint(m, l, b.index, training);
  float* after = checkpoint(m, l, b.index + 1, training);
  std::memcpy(after, before, states_of(l) * sizeof(float));
  for (std::size_t s = 0; s < S; ++s) {
    const std::size_t first = shape.first[s];
    if (observers == nullptr) {
      scan(l, s, b, m, u.row(s), y.row(s), after, w);
    } else {
      observe_states(c.scan(shape, s, complex_, gain_), rounding_of(m, l, first, b.start), b,
                     mask(m, b), u.row(s), y.row(s), after + first * state_size_,
                     observers->blocks[l].state.data() + first);
    }
  }
  convert(c.output_noise, output_site(l), b, m, y, y);
  const ConstRows a = activate(l, b, y, m, w);
  const Rows z = training ? b.rows(m.z[l].data(), O_) : take(w.z, O_, b.columns());
  linear(c.weight, c.bias, c.tiles, O_, b, a, z, w);
  if (observers != nullptr) {
    observe(b, m, S, y, observers->blocks[l].ssm_output);
    observe(b, m, S, a, observers->blocks[l].activation);
  }
  return z;
}

void GroupPass::tail(std::size_t l, const TimeBlock& b, ConstRows z, GroupMemory& m, Scratch& w,
                     Observers* observers) const {
  const Tail t = tail_values(l, b, z, m, w, false);
  const Rows out = b.rows(m.h[l + 1].data(), H_);
  if (layer_norm_) normalise(l, b, t.r, out);
  if (observers != nullptr) {
    observe(b, m, O_, t.zn, observers->blocks[l].linear);
    const ConstRows sum = layer_norm_ ? out : t.r;
    observe(b, m, H_, sum, observers->residual);
    if (l + 1 == layers_) observe(b, m, H_, sum, observers->output);
  }
  finish(c_.residual, H_, b, layer_norm_ ? out : t.r, out);
}

void GroupPass::layer_forward(std::size_t l, GroupMemory& m, Scratch& w,
                              Observers* observers) const {
  for (const TimeBlock& b : blocks_)
    tail(l, b, head(l, b, m, w, false, observers), m, w, observers);
}

void GroupPass::pool(GroupMemory& m) const {
  m.pooled.assign(H_ * kLanes, 0);
  for (const TimeBlock& b : blocks_) {
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

BatchResult GroupPass::decode(const GroupMemory& m, std::size_t group, const LossOptions& loss,
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

StateRounding GroupPass::rounding_of(const GroupMemory& m, std::size_t l, std::size_t first,
                                     std::size_t step) const {
  StateRounding rounding = c_.rounding;
  const AlignedFloats& spread = c_.blocks[l].state_spread;
  if (!spread.empty()) rounding.spread = spread.data() + 2 * first;
  rounding.draws = {m.seeds.data(), static_cast<std::uint32_t>(first_modes_[l] + first),
                    static_cast<std::uint32_t>(step)};
  return rounding;
}

void GroupPass::scan(std::size_t l, std::size_t s, const TimeBlock& b, const GroupMemory& m,
                     const float* u, float* y, float* states, Scratch& w) const {
  const BlockCoefficients& c = c_.blocks[l];
  const OutputPieces& pieces = c.pieces;
  const auto run = [&](std::size_t first, std::size_t count, float* to) {
    scan_forward(c.scan(first, count, complex_, gain_), rounding_of(m, l, first, b.start), b.steps,
                 u, to, states + first * state_size_);
  };
  const std::size_t first = shape(l).first[s];
  if (pieces.cuts.empty() || pieces.cuts[s].size() <= 2) {
    run(first, shape(l).modes(s), y);
    return;
  }
  const std::vector<std::size_t>& cut = pieces.cuts[s];
  const Rows part = take(w.part, 1, b.columns()), out{y, b.columns()};
  for (std::size_t i = 0; i + 1 < cut.size(); ++i) {
    std::fill_n(part.data, b.columns(), 0.0f);
    run(first + cut[i], cut[i + 1] - cut[i], part.data);
    fake_quantize_forward(&pieces.step, -pieces.high, pieces.high, 1, b.columns(), part, part);
    accumulate(nullptr, 1, b.columns(), part, out);
  }
}

ConstRows GroupPass::recurrence_input(std::size_t l, const TimeBlock& b, const GroupMemory& m,
                                      Scratch& w) const {
  const ConstRows h = b.rows(m.h[l].data(), H_);
  const BlockShape& shape = s_.shapes[l];
  if (shape.every_channel(H_)) return h;
  const Rows u = take(w.u, shape.size(), b.columns());
  for (std::size_t s = 0; s < shape.size(); ++s) {
    std::copy_n(h.row(shape.channels[s]), b.columns(), u.row(s));
  }
  return u;
}

ConstRows GroupPass::encoder_input(std::size_t group, const TimeBlock& b, Scratch& w) const {
  return rounded(c_.input, inputs(), b.columns(), b.rows(batch_.group(group).data(), inputs()),
                 w.x);
}

ConstRows GroupPass::encoder_output(const TimeBlock& b, ConstRows x, const GroupMemory& m,
                                    Scratch& w) const {
  const Rows pre = take(w.pre, H_, b.columns());
  linear(c_.encoder, c_.encoder_bias, c_.encoder_tiles, H_, b, x, pre, w);
  convert(c_.encoder_noise, kEncoderSite, b, m, pre, pre);
  return pre;
}

void GroupPass::linear(const AlignedFloats& weight, const AlignedFloats& bias,
                       const std::vector<WeightTile>& tiles, std::size_t outputs,
                       const TimeBlock& b, ConstRows x, Rows z, Scratch& w) {
  const std::size_t columns = b.columns();
  if (tiles.empty()) {
    linear_forward(weight.data(), bias.data(), outputs, weight.size() / outputs, columns, x, z);
    return;
  }
  for (std::size_t r = 0; r < outputs; ++r) std::fill_n(z.row(r), columns, bias[r]);
  const Rows part = take(w.part, outputs, columns);
  for (const WeightTile& tile : tiles) {
    const ConstRows in(x.row(tile.first), x.stride);
    linear_forward(tile.weight.data(), nullptr, outputs, tile.count, columns, in, part);
    fake_quantize_forward(tile.step.data(), -tile.high, tile.high, outputs, columns, part, part);
    accumulate(nullptr, outputs, columns, part, z);
  }
}

void GroupPass::convert(const AlignedFloats& deviation, std::size_t site, const TimeBlock& b,
                        const GroupMemory& m, ConstRows x, Rows to) {
  if (deviation.empty()) return;
  const auto row = static_cast<std::uint32_t>(kFirstConvertedRow + site * kRowsOfSite);
  add_noise({m.seeds.data(), row, static_cast<std::uint32_t>(b.start)}, deviation.size(), b.steps,
            deviation.data(), x, to);
}

void GroupPass::finish(const Quantizer& q, std::size_t rows, const TimeBlock& b, ConstRows x,
                       Rows to) {
  if (q.on) {
    fake_quantize_forward(q.scale.data(), q.low, q.high, rows, b.columns(), x, to);
  } else if (x.data != to.data) {
    copy(rows, b.columns(), x, to);
  }
}

void GroupPass::normalise(std::size_t l, const TimeBlock& b, ConstRows r, Rows to) const {
  const BlockCoefficients& c = c_.blocks[l];
  layer_norm_forward(c.norm_scale.data(), c.norm_shift.data(), H_, b.columns(), r, to);
}

ConstRows GroupPass::activate(std::size_t l, const TimeBlock& b, ConstRows y, GroupMemory& m,
                              Scratch& w) const {
  const BlockQuantizers& q = c_.quantizers[l];
  const std::size_t S = shape(l).size();
  const ConstRows yq = rounded(q.ssm_output, S, b.columns(), y, w.yq);
  if (m.a.empty()) {
    const Rows a = take(w.a, S, b.columns());
    if (look_up(q.activation_table, S, b.columns(), yq, a)) return a;
    activation_forward(activation_, S, b.columns(), yq, a);
    return rounded(q.activation, S, b.columns(), a, w.aq);
  }
  const Rows a = b.rows(m.a[l].data(), S);
  activation_with_slope(activation_, S, b.columns(), yq, a, b.rows(m.slope[l].data(), S));
  return rounded(q.activation, S, b.columns(), a, w.aq);
}

GroupPass::Tail GroupPass::tail_values(std::size_t l, const TimeBlock& b, ConstRows z,
                                       GroupMemory& m, Scratch& w, bool again) const {
  const BlockCoefficients& c = c_.blocks[l];
  const BlockQuantizers& q = c_.quantizers[l];
  const std::size_t columns = b.columns();
  ConstRows zn = z;
  if (batch_norm_) {
    const Rows to = take(w.zn, O_, columns);
    affine_forward(c.norm_scale.data(), c.norm_shift.data(), O_, columns, z, to);
    zn = to;
  }
  if (!c.linear_noise.empty()) {
    const Rows to = take(w.zn, O_, columns);
    convert(c.linear_noise, linear_site(l), b, m, zn, to);
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

void GroupPass::observe_states(const ScanModes& modes, StateRounding rounding, const TimeBlock& b,
                               const float* used, const float* u, float* y, float* state,
                               float* observers) const {
  for (std::size_t t = 0; t < b.steps; ++t, ++rounding.draws.first_step) {
    scan_forward(modes, rounding, 1, u + t * kLanes, y + t * kLanes, state);
    for (std::size_t n = 0; n < modes.modes; ++n) {
      for (std::size_t i = 0; i < 2 * kLanes; ++i) {
        if (used != nullptr && used[t * kLanes + i % kLanes] == 0) continue;
        observers[n] = std::max(observers[n], std::abs(state[n * 2 * kLanes + i]));
      }
    }
  }
}

void GroupPass::observe(const TimeBlock& b, const GroupMemory& m, std::size_t rows, ConstRows x,
                        Observer& to) {
  const float* used = mask(m, b);
  const double bins = static_cast<double>(to.histogram.size());
  const double per_value = bins / std::max(1e-30, static_cast<double>(to.high) - to.low);
  if (to.histogram.empty()) to.row_sums.resize(rows, 0);
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
      to.row_sums[r] += v;
      ++to.count;
    }
  }
}

}  // namespace crosstate
