#include "crosstate/ptq/statistics.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "crosstate/model/group_forward.h"

namespace crosstate::ptq {
namespace {

using kernels::ConstRows;
using model::Coefficients;
using model::GroupForward;
using model::GroupMemory;
using model::GroupPass;
using model::Scratch;
using model::TimeBlock;

// The samples of a block of time: every stride-th step, counted from the start of the sequences.
struct Samples {
  std::size_t first = 0, count = 0;  // indices of the samples
  std::size_t stride = 1;
  std::size_t step(std::size_t i) const { return (first + i + 1) * stride - 1; }
  std::size_t columns() const { return count * kLanes; }
};

Samples samples_of(const TimeBlock& block, std::size_t stride) {
  const std::size_t first = block.start / stride, end = (block.start + block.steps) / stride;
  return {first, end - first, stride};
}

// Copies the samples of rows [count] of a block to rows of `to`, starting at `column`.
void gather(const TimeBlock& block, const Samples& samples, std::size_t count, ConstRows from,
            float* to, std::size_t stride, std::size_t column) {
  for (std::size_t r = 0; r < count; ++r) {
    for (std::size_t i = 0; i < samples.count; ++i) {
      std::copy_n(from.row(r) + (samples.step(i) - block.start) * kLanes, kLanes,
                  to + r * stride + column + i * kLanes);
    }
  }
}

std::vector<const float*> row_pointers(const float* data, std::size_t rows, std::size_t stride) {
  std::vector<const float*> pointers(rows);
  for (std::size_t r = 0; r < rows; ++r) pointers[r] = data + r * stride;
  return pointers;
}

// Forward pass of the float network that keeps samples of its values.
class RecordingForward : public GroupForward {
 public:
  RecordingForward(const GroupPass& pass, GroupMemory& m, Scratch& w, std::size_t stride,
                   std::size_t length, std::size_t every_step, Statistics::Group& to,
                   std::vector<std::vector<AlignedFloats>>* streams)
      : GroupForward(pass, m, w),
        every_step_(every_step),
        stride_(stride),
        row_(length / stride * kLanes),
        length_(length),
        to_(to),
        streams_(streams) {}

  ConstRows encode(ConstRows x) const {
    const ConstRows sums = GroupForward::encode(x);
    keep(p_.channels(), sums, to_.encoder);
    const Samples samples = samples_of(*b_, stride_);
    to_.share.resize(row_, 1);
    if (mask() != nullptr) {
      gather(*b_, samples, 1, ConstRows(mask(), 0), to_.share.data(), row_, samples.first * kLanes);
    }
    return sums;
  }
  ConstRows select(std::size_t l) const {
    const ConstRows u = GroupForward::select(l);
    if (streams_ == nullptr) return u;
    std::vector<AlignedFloats>& stream = (*streams_)[l];
    stream.resize(p_.shape(l).size());
    for (std::size_t s = 0; s < stream.size(); ++s) {
      stream[s].resize(std::min(length_, Statistics::kStreamSteps) * kLanes);
      const std::size_t at = b_->start * kLanes;
      if (at >= stream[s].size()) break;
      std::copy_n(u.row(s), std::min(columns(), stream[s].size() - at), stream[s].data() + at);
    }
    return u;
  }
  kernels::Rows recur(std::size_t l, ConstRows u) const {
    const kernels::Rows y = GroupForward::recur(l, u);
    to_.output.resize(std::max(to_.output.size(), l + 1));
    keep(p_.shape(l).size(), y, to_.output[l]);
    return y;
  }
  ConstRows normalize(std::size_t l, ConstRows z) const {
    const ConstRows v = GroupForward::normalize(l, z);
    to_.linear.resize(std::max(to_.linear.size(), l + 1));
    keep(p_.outputs(), v, to_.linear[l]);
    return v;
  }
  void read() const {
    GroupForward::read();
    if (every_step_ == 0) return;
    keep(every_step_, b_->rows(std::as_const(m_.outputs).data(), every_step_), to_.logits);
  }

 private:
  void keep(std::size_t rows, ConstRows x, AlignedFloats& to) const {
    to.resize(rows * row_);
    const Samples samples = samples_of(*b_, stride_);
    gather(*b_, samples, rows, x, to.data(), row_, samples.first * kLanes);
  }

  std::size_t every_step_;  // outputs per step if every step is read; otherwise 0
  std::size_t stride_, row_, length_;
  Statistics::Group& to_;
  std::vector<std::vector<AlignedFloats>>* streams_;  // null: not requested
};

enum class Measured { kEncoder, kRecurrence, kLinear, kDecoder };

// Forward pass of a quantized network that accumulates moments of one site.
class MeasuringForward : public GroupForward {
 public:
  MeasuringForward(const GroupPass& pass, GroupMemory& m, Scratch& w, std::size_t stride,
                   const Statistics::Group& wanted, Measured site, std::size_t layer,
                   std::span<Moments> to)
      : GroupForward(pass, m, w),
        stride_(stride),
        row_(wanted.share.size()),
        wanted_(wanted),
        site_(site),
        layer_(layer),
        to_(to) {}

  ConstRows encode(ConstRows x) const {
    if (site_ == Measured::kEncoder) add(p_.inputs(), x, wanted_.encoder, p_.channels());
    return GroupForward::encode(x);
  }
  kernels::Rows recur(std::size_t l, ConstRows u) const {
    if (site_ != Measured::kRecurrence || l != layer_) return GroupForward::recur(l, u);
    return recur_by(l, u, [&](std::size_t s, const float* in, float* y, float* states) {
      add_recurrence(s, in, y, states);
    });
  }
  ConstRows linear(std::size_t l, ConstRows a) const {
    if (site_ == Measured::kLinear && l == layer_) {
      add(p_.shape(l).size(), a, wanted_.linear[l], p_.outputs());
    }
    return GroupForward::linear(l, a);
  }
  // Called only for the decoder if every step is read.
  void read() const {
    if (site_ != Measured::kDecoder) return;
    add(p_.channels(), stream(m_.h.size() - 1), wanted_.logits, wanted_.logits.size() / row_);
  }

 private:
  void add(std::size_t rows, ConstRows x, const AlignedFloats& wanted, std::size_t outputs) const {
    const Samples samples = samples_of(*b_, stride_);
    if (samples.count == 0) return;
    panel_.resize(rows * samples.columns());
    gather(*b_, samples, rows, x, panel_.data(), samples.columns(), 0);
    add_panel(samples, rows, wanted.data(), outputs, to_[0]);
  }

  void add_panel(const Samples& samples, std::size_t rows, const float* wanted, std::size_t outputs,
                 Moments& to) const {
    const std::size_t at = samples.first * kLanes;
    to.add(samples.columns(), row_pointers(panel_.data(), rows, samples.columns()),
           row_pointers(wanted + at, outputs, row_), wanted_.share.data() + at);
  }

  // Runs the recurrence of a channel from sample to sample.
  void add_recurrence(std::size_t s, const float* in, float* y, float* states) const {
    const Samples samples = samples_of(*b_, stride_);
    const kernels::ScanModes modes = p_.modes(layer_, s);
    const std::size_t first = p_.shape(layer_).first[s];
    const std::size_t parts = modes.ai == nullptr ? 1 : 2, rows = parts * modes.modes + 1;
    kernels::StateRounding rounding = rounding_of(layer_, first);
    float* const state = states + first * p_.state_size();
    std::size_t done = 0;
    const auto advance = [&](std::size_t steps) {
      kernels::scan_forward(modes, rounding, steps, in + done * kLanes, y + done * kLanes, state);
      rounding.draws.first_step += static_cast<std::uint32_t>(steps);
      done += steps;
    };
    panel_.resize(rows * samples.columns());
    for (std::size_t i = 0; i < samples.count; ++i) {
      advance(samples.step(i) - b_->start + 1 - done);
      const std::size_t column = i * kLanes;
      for (std::size_t n = 0; n < modes.modes; ++n) {
        const float* const x = state + n * 2 * kLanes;
        float* const re = panel_.data() + n * samples.columns() + column;
        std::copy_n(x, kLanes, re);
        if (parts == 1) continue;
        float* const im = re + modes.modes * samples.columns();
        for (std::size_t k = 0; k < kLanes; ++k) im[k] = -x[kLanes + k];
      }
      std::copy_n(in + (done - 1) * kLanes, kLanes,
                  panel_.data() + (rows - 1) * samples.columns() + column);
    }
    if (done < b_->steps) advance(b_->steps - done);
    if (samples.count == 0) return;
    add_panel(samples, rows, wanted_.output[layer_].data() + s * row_, 1, to_[s]);
  }

  std::size_t stride_, row_;
  const Statistics::Group& wanted_;
  Measured site_;
  std::size_t layer_;
  std::span<Moments> to_;
  mutable AlignedFloats panel_;
};

}  // namespace

Statistics::Statistics(const model::Network& network, std::span<const data::Batch> batches,
                       ThreadPool& pool, Check check)
    : batches_(batches), pool_(pool), check_(std::move(check)) {
  std::size_t steps = 0, shortest = batches.empty() ? 1 : batches[0].length;
  for (const data::Batch& batch : batches) {
    steps += batch.groups * kLanes * batch.length;
    shortest = std::min(shortest, batch.length);
  }
  stride_ = std::clamp<std::size_t>((steps + kMostSamples - 1) / kMostSamples, 1,
                                    std::max<std::size_t>(shortest / 4, 1));
  const model::Network::State& state = network.state();
  const Coefficients coefficients = state.coefficients();
  const auto outputs = static_cast<std::size_t>(state.task.outputs);
  const bool every_step = state.options.readout == task::Scope::kStep;
  streams_.resize(state.blocks.size());
  for (const data::Batch& batch : batches) {
    check_with(check_);
    const GroupPass pass(state, coefficients, batch);
    std::vector<Group>& groups = groups_.emplace_back(batch.groups);
    const auto workers = static_cast<std::size_t>(pool.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      GroupMemory& m = memory[static_cast<std::size_t>(worker)];
      pass.prepare(m, g, model::Keep::kNothing);
      Group& group = groups[g];
      const bool first = &batch == batches_.data() && g == 0;
      RecordingForward forward(pass, m, scratch[static_cast<std::size_t>(worker)], stride_,
                               batch.length, every_step ? outputs : 0, group,
                               first ? &streams_ : nullptr);
      model::walk_stretches(forward, state.blocks.size(), pass.blocks());
      if (every_step) return;
      std::vector<float> logits(kLanes * outputs);
      pass.decode(m, g, {}, logits.data(), nullptr);
      group.logits.resize(outputs * kLanes);
      group.lanes.resize(kLanes);
      for (std::size_t i = 0; i < kLanes; ++i) {
        group.lanes[i] = g * kLanes + i < batch.count ? 1 : 0;
        for (std::size_t k = 0; k < outputs; ++k) {
          group.logits[k * kLanes + i] = logits[i * outputs + k];
        }
      }
    });
  }
}

template <class Run>
std::vector<Moments> Statistics::measure(const model::Network& quantized, std::size_t count,
                                         const Run& run) const {
  const model::Network::State& state = quantized.state();
  const Coefficients coefficients = state.deployed_coefficients();
  std::vector<Moments> all(count);
  for (std::size_t b = 0; b < batches_.size(); ++b) {
    check_with(check_);
    const data::Batch& batch = batches_[b];
    const GroupPass pass(state, coefficients, batch);
    const auto workers = static_cast<std::size_t>(pool_.size());
    std::vector<GroupMemory> memory(workers);
    std::vector<Scratch> scratch(workers);
    std::vector<std::vector<Moments>> parts(batch.groups);
    pool_.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      const auto i = static_cast<std::size_t>(worker);
      pass.prepare(memory[i], g, model::Keep::kNothing);
      run(pass, memory[i], scratch[i], groups_[b][g], parts[g]);
    });
    for (const std::vector<Moments>& part : parts) {
      for (std::size_t i = 0; i < count; ++i) all[i] += part[i];
    }
  }
  return all;
}

Moments Statistics::encoder(const model::Network& quantized) const {
  const auto run = [&](const GroupPass& pass, GroupMemory& m, Scratch& w, const Group& wanted,
                       std::vector<Moments>& to) {
    to.assign(1, Moments(pass.inputs(), pass.channels()));
    MeasuringForward forward(pass, m, w, stride_, wanted, Measured::kEncoder, 0, to);
    model::walk_stretches(forward, 0, pass.blocks());
  };
  return std::move(measure(quantized, 1, run)[0]);
}

std::vector<Moments> Statistics::recurrence(const model::Network& quantized,
                                            std::size_t layer) const {
  const std::size_t channels = quantized.state().shapes[layer].size();
  const auto run = [&](const GroupPass& pass, GroupMemory& m, Scratch& w, const Group& wanted,
                       std::vector<Moments>& to) {
    for (std::size_t s = 0; s < channels; ++s) {
      const kernels::ScanModes modes = pass.modes(layer, s);
      to.emplace_back((modes.ai == nullptr ? 1 : 2) * modes.modes + 1, 1);
    }
    MeasuringForward forward(pass, m, w, stride_, wanted, Measured::kRecurrence, layer, to);
    model::walk_stretches(forward, layer + 1, pass.blocks());
  };
  return measure(quantized, channels, run);
}

Moments Statistics::linear(const model::Network& quantized, std::size_t layer) const {
  const auto run = [&](const GroupPass& pass, GroupMemory& m, Scratch& w, const Group& wanted,
                       std::vector<Moments>& to) {
    to.assign(1, Moments(pass.shape(layer).size(), pass.outputs()));
    MeasuringForward forward(pass, m, w, stride_, wanted, Measured::kLinear, layer, to);
    model::walk_stretches(forward, layer + 1, pass.blocks());
  };
  return std::move(measure(quantized, 1, run)[0]);
}

Moments Statistics::decoder(const model::Network& quantized) const {
  const std::size_t layers = quantized.state().blocks.size();
  const auto outputs = static_cast<std::size_t>(quantized.task().outputs);
  const bool every_step = quantized.options().readout == task::Scope::kStep;
  const auto run = [&](const GroupPass& pass, GroupMemory& m, Scratch& w, const Group& wanted,
                       std::vector<Moments>& to) {
    const std::size_t H = pass.channels();
    to.assign(1, Moments(H, outputs));
    if (every_step) {
      MeasuringForward forward(pass, m, w, stride_, wanted, Measured::kDecoder, 0, to);
      model::walk_stretches(forward, layers, pass.blocks());
      return;
    }
    GroupForward forward(pass, m, w);
    model::walk_stretches(forward, layers, pass.blocks());
    AlignedFloats pooled(H * kLanes);
    for (std::size_t k = 0; k < pooled.size(); ++k) {
      pooled[k] = static_cast<float>(m.pooled[k] / m.pool_count[k % kLanes]);
    }
    to[0].add(kLanes, row_pointers(pooled.data(), H, kLanes),
              row_pointers(wanted.logits.data(), outputs, kLanes), wanted.lanes.data());
  };
  return std::move(measure(quantized, 1, run)[0]);
}

}  // namespace crosstate::ptq
