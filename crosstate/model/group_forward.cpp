#include "crosstate/model/group_forward.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crosstate/base/random.h"
#include "crosstate/kernels/noise.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate::model {
namespace {

// Row numbers of conversions are above those of modes, since both address the same random stream.
constexpr std::size_t kFirstConvertedRow = std::size_t{1} << 31, kRowsOfSite = std::size_t{1} << 16;
constexpr std::size_t kEncoderSite = 0;
std::size_t output_site(std::size_t layer) { return 1 + 2 * layer; }
std::size_t linear_site(std::size_t layer) { return 2 + 2 * layer; }

}  // namespace

GroupPass::GroupPass(const Network::State& state, const Coefficients& coefficients,
                     const data::Batch& batch)
    : s_(state),
      c_(coefficients),
      batch_(batch),
      H_(state.channels()),
      O_(state.linear_outputs()),
      K_(static_cast<std::size_t>(state.task.outputs)),
      layers_(state.blocks.size()),
      state_size_(kernels::scan_state_size(1, coefficients.rounding.mode)),
      gain_(coefficients.rounding.limit > 0),
      complex_(state.complex()),
      gated_(state.gated()),
      batch_norm_(state.batch_norm()),
      layer_norm_(state.layer_norm()),
      every_step_(state.options.readout == task::Scope::kStep),
      activation_(state.options.activation),
      gate_(gate_of(state.options.gate)) {
  for (std::size_t l = 0; l < layers_; ++l) first_modes_.push_back(state.first_mode(l));
  for (std::size_t t = 0; t < batch.length; t += batch.block_length) {
    blocks_.push_back({blocks_.size(), t, std::min(batch.block_length, batch.length - t)});
  }
}

void GroupPass::prepare(GroupMemory& m, std::size_t group, Keep keep) const {
  const std::size_t panel = batch_.length * kLanes;
  const bool training = keep == Keep::kAdjoint;
  m.group = group;
  m.keep = keep;
  m.h.resize(layers_ + 1);
  for (std::size_t l = 0; l <= layers_; ++l) {
    const bool passing = keep == Keep::kNothing || (l == layers_ && m.passing_output);
    const std::size_t steps =
        passing ? std::min(batch_.block_length, batch_.length) : batch_.length;
    m.h[l].resize(steps * kLanes * H_);
  }
  m.y.resize(training ? layers_ : 0);
  m.a.resize(m.y.size());
  m.slope.resize(m.y.size());
  m.s.resize(training && gated_ ? layers_ : 0);
  for (std::size_t l = 0; l < m.y.size(); ++l) {
    const std::size_t size = panel * shape(l).size();
    m.y[l].resize(c_.quantizers[l].ssm_output.on ? size : 0);
    m.a[l].resize(size);
    m.slope[l].resize(size);
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
  m.seeds.fill(kernels::kDeployedSeed);
  std::copy_n(batch_.lengths.begin() + static_cast<std::ptrdiff_t>(group * kLanes), kLanes,
              m.lengths.begin());
  m.padded = std::ranges::any_of(m.lengths, [&](auto n) { return n < batch_.length; });
  if (every_step_) {
    m.outputs.resize(panel * K_);
  } else {
    prepare_pool(m);
  }
  m.dropout.resize(layers_);
  for (AlignedFloats& factors : m.dropout) factors.clear();
}

void GroupPass::prepare_pool(GroupMemory& m) const {
  m.pool_count.fill(1);
  if (s_.options.pooling == Pooling::kMean) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      m.pool_count[i] = static_cast<double>(std::max<std::size_t>(m.lengths[i], 1));
    }
  }
  m.pooled.assign(H_ * kLanes, 0);
}

const float* GroupPass::pool_weights(const GroupMemory& m, const TimeBlock& b,
                                     AlignedFloats& to) const {
  const bool last = s_.options.pooling == Pooling::kLast;
  to.resize(b.columns());
  for (std::size_t t = 0; t < b.steps; ++t) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::size_t step = b.start + t;
      const bool pooled = last ? step + 1 == m.lengths[i] : step < m.lengths[i];
      to[t * kLanes + i] = pooled ? 1 : 0;
    }
  }
  return to.data();
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

BatchResult GroupPass::decode(const GroupMemory& m, std::size_t group, const LossOptions& loss,
                              float* logits, std::vector<double>* glogits) const {
  BatchResult result;
  if (batch_.readout.outputs() > 0) {
    result.sums.assign(batch_.readout.task->sums(batch_.readout), 0);
  }
  if (glogits != nullptr) glogits->assign(reads() * K_ * kLanes, 0);
  std::vector<float> out(K_);
  std::vector<double> slope(glogits == nullptr ? 0 : K_);
  const std::size_t lanes = std::min(kLanes, batch_.count - group * kLanes);
  const auto see = [&](std::size_t lane, std::size_t read, std::size_t at, std::size_t stride) {
    if (logits != nullptr) std::copy(out.begin(), out.end(), logits + (lane * reads() + read) * K_);
    if (!judge(group * kLanes + lane, read, loss, out, slope, result)) return;
    for (std::size_t k = 0; k < slope.size(); ++k) (*glogits)[at + k * stride] = slope[k];
  };
  if (!every_step_) {
    for (std::size_t i = 0; i < lanes; ++i) {
      for (std::size_t k = 0; k < K_; ++k) {
        double sum = m.pool_count[i] * c_.decoder_bias[k];
        for (std::size_t h = 0; h < H_; ++h) {
          sum += c_.decoder[k * H_ + h] * m.pooled[h * kLanes + i];
        }
        out[k] = static_cast<float>(sum / m.pool_count[i]);
      }
      see(i, 0, i, kLanes);
    }
    return result;
  }
  for (const TimeBlock& b : blocks_) {
    const kernels::ConstRows outputs = b.rows(m.outputs.data(), K_);
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::size_t length = batch_.lengths[group * kLanes + i];
      for (std::size_t t = b.start; t < std::min(length, b.start + b.steps); ++t) {
        const std::size_t column = (t - b.start) * kLanes + i;
        for (std::size_t k = 0; k < K_; ++k) out[k] = outputs.row(k)[column];
        see(i, t, b.start * K_ * kLanes + column, b.columns());
      }
    }
  }
  return result;
}

bool GroupPass::judge(std::size_t sequence, std::size_t read, const LossOptions& loss,
                      const std::vector<float>& out, std::span<double> slope,
                      BatchResult& result) const {
  const task::Readout& readout = batch_.readout;
  if (readout.outputs() == 0) return false;
  const std::span<const float> target = batch_.target(sequence, read);
  if (every_step_ && !task::counts(target)) return false;
  task::TaskLoss options{loss.label_smoothing, loss.weights,     {},
                         loss.distillation,    loss.temperature, loss.offsets};
  if (!loss.teacher.empty()) {
    options.teacher = loss.teacher.subspan((sequence * reads() + read) * K_, K_);
  }
  readout.task->add(readout, task::Output(out), target, result.sums);
  result.loss += readout.task->loss(readout, out, target, options, slope);
  ++result.count;
  return true;
}

void GroupForward::at(const TimeBlock& b) {
  b_ = &b;
  kept_ = b;
  if (m_.keep == Keep::kNothing) kept_.start = 0;
  if (!m_.padded) return;
  w_.mask.resize(b.columns());
  for (std::size_t t = 0; t < b.steps; ++t) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      w_.mask[t * kLanes + i] = b.start + t < m_.lengths[i] ? 1 : 0;
    }
  }
}

kernels::ConstRows GroupForward::input() const {
  const kernels::ConstRows values = b_->rows(p_.batch_.group(m_.group).data(), p_.inputs());
  return rounded(c_.input, p_.inputs(), columns(), values, w_.x);
}

kernels::ConstRows GroupForward::encode(kernels::ConstRows x) const {
  const kernels::Rows sums = take(w_.pre, p_.H_, columns());
  multiply_by(c_.encoder, c_.encoder_bias, c_.encoder_tiles, p_.H_, x, sums);
  convert(c_.encoder_noise, kEncoderSite, sums, sums);
  return sums;
}

void GroupForward::enter(kernels::ConstRows sums) const { round_stream(0, sums); }

kernels::ConstRows GroupForward::select(std::size_t l) const {
  const kernels::ConstRows h = stream(l);
  const BlockShape& shape = p_.shape(l);
  if (shape.every_channel(p_.H_)) return h;
  const kernels::Rows u = take(w_.u, shape.size(), columns());
  for (std::size_t s = 0; s < shape.size(); ++s) {
    std::copy_n(h.row(shape.channels[s]), columns(), u.row(s));
  }
  return u;
}

kernels::Rows GroupForward::recur(std::size_t l, kernels::ConstRows u) const {
  return recur_by(l, u, [&](std::size_t s, const float* in, float* y, float* states) {
    scan(l, s, in, y, states);
  });
}

kernels::ConstRows GroupForward::activate(std::size_t l, kernels::ConstRows y,
                                          kernels::ConstRows) const {
  const BlockQuantizers& q = c_.quantizers[l];
  const std::size_t S = p_.shape(l).size();
  const kernels::ConstRows yq = rounded(q.ssm_output, S, columns(), y, w_.yq);
  if (!adjoint()) {
    const kernels::Rows a = take(w_.a, S, columns());
    if (look_up(q.activation_table, S, columns(), yq, a)) return a;
    kernels::activation_forward(p_.activation_, S, columns(), yq, a);
    return rounded(q.activation, S, columns(), a, w_.aq);
  }
  const kernels::Rows a = kept_.rows(m_.a[l].data(), S);
  kernels::activation_with_slope(p_.activation_, S, columns(), yq, a,
                                 kept_.rows(m_.slope[l].data(), S));
  return rounded(q.activation, S, columns(), a, w_.aq);
}

kernels::ConstRows GroupForward::linear(std::size_t l, kernels::ConstRows a) const {
  const BlockCoefficients& c = c_.blocks[l];
  const kernels::Rows z = panel(m_.z, l, p_.O_, w_.z);
  multiply_by(c.weight, c.bias, c.tiles, p_.O_, a, z);
  return z;
}

kernels::ConstRows GroupForward::normalize(std::size_t l, kernels::ConstRows z) const {
  const BlockCoefficients& c = c_.blocks[l];
  if (!p_.batch_norm_ && c.linear_noise.empty()) return z;
  const kernels::Rows v = take(w_.zn, p_.O_, columns());
  kernels::ConstRows sums = z;
  if (p_.batch_norm_) {
    kernels::affine_forward(c.norm_scale.data(), c.norm_shift.data(), p_.O_, columns(), z, v);
    sums = v;
  }
  convert(c.linear_noise, linear_site(l), sums, v);
  return v;
}

GroupForward::Branch GroupForward::gate(std::size_t l, kernels::ConstRows v) const {
  return gate_values(l, v, false);
}

GroupForward::Branch GroupForward::gate_values(std::size_t l, kernels::ConstRows v,
                                               bool again) const {
  const BlockQuantizers& q = c_.quantizers[l];
  const std::size_t H = p_.H_;
  const kernels::ConstRows z = rounded(q.linear, p_.O_, columns(), v, w_.zq);
  if (!p_.gated_) return {z, z, z};
  const kernels::ConstRows in(z.row(H), z.stride);
  const kernels::Rows s = panel(m_.s, l, H, w_.s);
  if (!adjoint() && look_up(q.gate_table, H, columns(), in, s)) return {z, s, s};
  if (!again) kernels::activation_forward(p_.gate_, H, columns(), in, s);
  return {z, s, rounded(q.gate, H, columns(), s, w_.sq)};
}

kernels::Rows GroupForward::add_residual(std::size_t l, const Branch& branch) const {
  const std::size_t H = p_.H_;
  const kernels::ConstRows h = stream(l);
  const kernels::Rows r = take(w_.r, H, columns());
  const AlignedFloats& dropout = m_.dropout[l];
  if (p_.gated_ && dropout.empty()) {
    kernels::multiply_add(H, columns(), branch.z, branch.gate, h, r);
    return r;
  }
  if (p_.gated_) {
    kernels::multiply(H, columns(), branch.z, branch.gate, r);
  } else {
    copy(H, columns(), branch.z, r);
  }
  scale_lanes(dropout, H, columns(), r);
  kernels::accumulate(nullptr, H, columns(), h, r);
  return r;
}

kernels::ConstRows GroupForward::normalize_sum(std::size_t l, kernels::ConstRows r) const {
  if (!p_.layer_norm_) return r;
  const kernels::Rows n = stream_rows(l + 1);
  layer_norm(l, r, n);
  return n;
}

void GroupForward::leave(std::size_t l, kernels::ConstRows n) const { round_stream(l + 1, n); }

void GroupForward::read() const {
  const kernels::ConstRows h = stream(p_.layers_);
  if (p_.every_step_) {
    kernels::linear_forward(c_.decoder.data(), c_.decoder_bias.data(), p_.K_, p_.H_, columns(), h,
                            b_->rows(m_.outputs.data(), p_.K_));
    return;
  }
  const float* weight = p_.pool_weights(m_, *b_, w_.pool);
  for (std::size_t r = 0; r < p_.H_; ++r) {
    double* sum = m_.pooled.data() + r * kLanes;
    for (std::size_t c = 0; c < columns(); c += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        sum[i] += static_cast<double>(weight[c + i] * h.row(r)[c + i]);
      }
    }
  }
}

kernels::StateRounding GroupForward::rounding_of(std::size_t l, std::size_t first) const {
  kernels::StateRounding rounding = c_.rounding;
  const AlignedFloats& spread = c_.blocks[l].state_spread;
  if (!spread.empty()) rounding.spread = spread.data() + 2 * first;
  const std::vector<std::uint8_t>& residues = c_.blocks[l].residue_bits;
  if (!residues.empty()) rounding.residue_bits = residues.data() + first;
  rounding.draws = {m_.seeds.data(), static_cast<std::uint32_t>(p_.first_modes_[l] + first),
                    static_cast<std::uint32_t>(b_->start)};
  return rounding;
}

void GroupForward::scan(std::size_t l, std::size_t s, const float* u, float* y,
                        float* states) const {
  const BlockCoefficients& c = c_.blocks[l];
  const OutputPieces& pieces = c.pieces;
  const auto run = [&](std::size_t first, std::size_t count, float* to) {
    kernels::scan_forward(c.scan(first, count, p_.complex_, p_.gain_), rounding_of(l, first),
                          b_->steps, u, to, states + first * p_.state_size_);
  };
  const std::size_t first = p_.shape(l).first[s];
  if (pieces.cuts.empty() || pieces.cuts[s].size() <= 2) {
    run(first, p_.shape(l).modes(s), y);
    return;
  }
  const std::vector<std::size_t>& cut = pieces.cuts[s];
  const kernels::Rows part = take(w_.part, 1, columns()), out{y, columns()};
  for (std::size_t i = 0; i + 1 < cut.size(); ++i) {
    std::fill_n(part.data, columns(), 0.0f);
    run(first + cut[i], cut[i + 1] - cut[i], part.data);
    kernels::fake_quantize_forward(&pieces.step, -pieces.high, pieces.high, 1, columns(), part,
                                   part);
    kernels::accumulate(nullptr, 1, columns(), part, out);
  }
}

void GroupForward::multiply_by(const AlignedFloats& weight, const AlignedFloats& bias,
                               const std::vector<WeightTile>& tiles, std::size_t outputs,
                               kernels::ConstRows x, kernels::Rows z) const {
  if (tiles.empty()) {
    kernels::linear_forward(weight.data(), bias.data(), outputs, weight.size() / outputs, columns(),
                            x, z);
    return;
  }
  for (std::size_t r = 0; r < outputs; ++r) std::fill_n(z.row(r), columns(), bias[r]);
  const kernels::Rows part = take(w_.part, outputs, columns());
  for (const WeightTile& tile : tiles) {
    const kernels::ConstRows in(x.row(tile.first), x.stride);
    kernels::linear_forward(tile.weight.data(), nullptr, outputs, tile.count, columns(), in, part);
    kernels::fake_quantize_forward(tile.step.data(), -tile.high, tile.high, outputs, columns(),
                                   part, part);
    kernels::accumulate(nullptr, outputs, columns(), part, z);
  }
}

void GroupForward::convert(const AlignedFloats& deviation, std::size_t site, kernels::ConstRows x,
                           kernels::Rows to) const {
  if (deviation.empty()) return;
  const auto row = static_cast<std::uint32_t>(kFirstConvertedRow + site * kRowsOfSite);
  kernels::add_noise({m_.seeds.data(), row, static_cast<std::uint32_t>(b_->start)},
                     deviation.size(), b_->steps, deviation.data(), x, to);
}

void GroupForward::convert_output(std::size_t l, kernels::Rows y) const {
  convert(c_.blocks[l].output_noise, output_site(l), y, y);
}

void GroupForward::round_stream(std::size_t l, kernels::ConstRows x) const {
  const kernels::Rows h = stream_rows(l);
  const Quantizer& q = c_.residual;
  if (q.on) {
    kernels::fake_quantize_forward(q.scale.data(), q.low, q.high, p_.H_, columns(), x, h);
  } else if (x.data != h.data) {
    copy(p_.H_, columns(), x, h);
  }
}

void GroupForward::layer_norm(std::size_t l, kernels::ConstRows r, kernels::Rows to) const {
  const BlockCoefficients& c = c_.blocks[l];
  kernels::layer_norm_forward(c.norm_scale.data(), c.norm_shift.data(), p_.H_, columns(), r, to);
}

}  // namespace crosstate::model
