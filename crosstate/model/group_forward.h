// Forward steps of one group of 16 sequences in float, for training and evaluation. Quantized
// values are fake-quantized.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "crosstate/model/group_pass.h"
#include "crosstate/model/panels.h"
#include "crosstate/model/walk.h"

namespace crosstate::model {

/// An executor for walk_stretches() or, unless `m` keeps nothing, walk_layers(), after
/// GroupPass::prepare() of `m`. Panels have the number of rows given below, and one block of time
/// as columns.
class GroupForward {
 public:
  GroupForward(const GroupPass& pass, GroupMemory& m, Scratch& w)
      : p_(pass), c_(pass.c_), m_(m), w_(w) {}

  void at(const TimeBlock& b);

  kernels::ConstRows input() const;                       // [inputs]
  kernels::ConstRows encode(kernels::ConstRows x) const;  // [H]
  void enter(kernels::ConstRows sums) const;
  kernels::ConstRows select(std::size_t l) const;                  // [S]
  kernels::Rows recur(std::size_t l, kernels::ConstRows u) const;  // [S], D u included
  kernels::ConstRows activate(std::size_t l, kernels::ConstRows y,
                              kernels::ConstRows u) const;                  // [S]
  kernels::ConstRows linear(std::size_t l, kernels::ConstRows a) const;     // [O]
  kernels::ConstRows normalize(std::size_t l, kernels::ConstRows z) const;  // [O]

  /// The quantized linear outputs z and the gate before (s) and after quantization. The first H
  /// rows of z times the gate are added to the residual stream; without a gate, z itself.
  struct Branch {
    kernels::ConstRows z, s, gate;
  };
  Branch gate(std::size_t l, kernels::ConstRows v) const;
  kernels::Rows add_residual(std::size_t l, const Branch& branch) const;        // [H]
  kernels::ConstRows normalize_sum(std::size_t l, kernels::ConstRows r) const;  // [H]
  void leave(std::size_t l, kernels::ConstRows n) const;
  /// Sums over each sequence's own length, or its last value. Sums of codes are exact: the integer
  /// network's pool is this one. With task::Scope::kStep the outputs of every step.
  void read() const;

  /// [steps][16] of the present block: 1 for steps of a sequence, 0 for padding; null: all 1.
  const float* mask() const { return m_.padded ? w_.mask.data() : nullptr; }

 protected:
  /// recur() in which scan(s, u, y, states) runs the recurrence of the channel with index s in the
  /// block over the block of time and adds the output to y.
  template <class Scan>
  kernels::Rows recur_by(std::size_t l, kernels::ConstRows u, const Scan& scan) const;

  /// Adds the noise of the converters of the outputs of the recurrence.
  void convert_output(std::size_t l, kernels::Rows y) const;

  /// Rounding of the states of modes from index `first` of a block on.
  kernels::StateRounding rounding_of(std::size_t l, std::size_t first) const;

  std::size_t columns() const { return b_->columns(); }
  /// The residual stream before block l, or after the last one.
  kernels::ConstRows stream(std::size_t l) const { return stream_rows(l); }
  kernels::Rows stream_rows(std::size_t l) const {
    if (l == p_.layers_ && m_.passing_output) return {m_.h[l].data(), columns()};
    return kept_.rows(m_.h[l].data(), p_.H_);
  }

  const GroupPass& p_;
  const Coefficients& c_;
  GroupMemory& m_;
  Scratch& w_;
  const TimeBlock* b_ = nullptr;
  TimeBlock kept_ = {};  // where the present block is in the panels of `m_`

 private:
  friend class GroupAdjoint;

  /// The states of block l at the start of time block `block`.
  float* checkpoint(std::size_t l, std::size_t block) const {
    return m_.checkpoints[l].data() + (adjoint() ? block : block % 2) * p_.states_of(l);
  }

  bool adjoint() const { return m_.keep == Keep::kAdjoint; }
  /// A panel of the present block that the adjoint needs, in `kept`, or in reused memory.
  kernels::Rows panel(std::vector<AlignedFloats>& kept, std::size_t l, std::size_t rows,
                      AlignedFloats& reused) const {
    return adjoint() ? kept_.rows(kept[l].data(), rows) : take(reused, rows, columns());
  }

  void scan(std::size_t l, std::size_t s, const float* u, float* y, float* states) const;

  /// z = weight x + bias of `outputs` rows, in parts if arrays have few rows.
  void multiply_by(const AlignedFloats& weight, const AlignedFloats& bias,
                   const std::vector<WeightTile>& tiles, std::size_t outputs, kernels::ConstRows x,
                   kernels::Rows z) const;

  /// to = x plus converter noise, with a standard deviation for each row. `site` numbers the sites
  /// of the network that have converters.
  void convert(const AlignedFloats& deviation, std::size_t site, kernels::ConstRows x,
               kernels::Rows to) const;

  /// Quantizes x as the residual stream before block l.
  void round_stream(std::size_t l, kernels::ConstRows x) const;

  void layer_norm(std::size_t l, kernels::ConstRows r, kernels::Rows to) const;

  /// gate(); with `again`, m.s already has the values of the gate from the forward pass.
  Branch gate_values(std::size_t l, kernels::ConstRows v, bool again) const;
};

template <class Scan>
kernels::Rows GroupForward::recur_by(std::size_t l, kernels::ConstRows u, const Scan& scan) const {
  const BlockCoefficients& c = c_.blocks[l];
  const std::size_t S = p_.shape(l).size(), states = p_.states_of(l);
  // The adjoint needs them only to see which values were clipped.
  const bool keeps = adjoint() && p_.c_.quantizers[l].ssm_output.on;
  const kernels::Rows y = keeps ? kept_.rows(m_.y[l].data(), S) : take(w_.y, S, columns());
  kernels::affine_forward(c.d.data(), nullptr, S, columns(), u, y);
  float* const after = checkpoint(l, b_->index + 1);
  std::copy_n(checkpoint(l, b_->index), states, after);
  for (std::size_t s = 0; s < S; ++s) scan(s, u.row(s), y.row(s), after);
  convert_output(l, y);
  return y;
}

}  // namespace crosstate::model
