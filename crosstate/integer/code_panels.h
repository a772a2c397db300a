// The steps of model/walk.h on panels of codes of 16 sequences: the digital part shared by batched
// integer inference and simulated chips.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/data/batch.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/panels.h"
#include "crosstate/model/walk.h"

namespace crosstate::integer {

/// A range of time steps of one group of sequences.
struct Stretch {
  std::size_t start, steps;
  std::size_t columns() const { return steps * kLanes; }
};

/// Working memory of one thread: panels [rows][steps][16] of one range of steps, and sums over
/// time.
struct CodeMemory {
  AlignedFloats x, h, u, y, z;
  std::vector<std::int64_t> pooled;  // [H][16] sums of codes
};

/// The step read() of networks that are read once per sequence: does nothing.
struct NoSteps {
  void operator()(const Stretch&, kernels::ConstRows) const {}
};

/// An executor for walk_stretch(). Sites provides the products with the weights, and the
/// conversions of accumulators to codes, which include the function tables:
///
///   encode(t, x, sums)              accumulators of the encoder, bias included
///   enter(columns, h)               to codes of the residual stream, in place
///   recur(l, t, u, y)               adds the sums over modes to y; carries the states along
///   activate(l, columns, y, u)      y with D u to codes, then to those of the activation, in place
///   linear(l, t, a, z)              accumulators of the linear layer, bias included
///   linear_codes(l, columns, z)     the first H rows of the accumulators to codes, in place
///   gate_codes(l, columns, z)       the other H rows to codes, then to those of the gate, in place
///   add_residual(l, columns, z, h)  z with h to codes of the residual stream, in h
///
/// t is the stretch of time and l the block. With IntegerNetwork::every_step, read(t, h) is called
/// with the codes of the stream behind the last block, which are not pooled then.
template <class Sites, class Read = NoSteps>
class CodePanels : public model::FoldedNorms {
 public:
  CodePanels(const IntegerNetwork& n, const data::Batch& batch, std::size_t group, Sites& sites,
             CodeMemory& m, Read read = {})
      : n_(n),
        values_(batch.group(group).data()),
        lengths_(batch.lengths.data() + group * kLanes),
        sites_(sites),
        m_(m),
        read_(std::move(read)),
        ones_(n.inputs, 1) {
    m.pooled.assign(n.channels * kLanes, 0);
  }

  void at(const Stretch& t) { t_ = t; }

  kernels::Rows input() {
    const kernels::ConstRows values(values_ + t_.start * n_.inputs * kLanes, columns());
    const kernels::Rows x = model::take(m_.x, n_.inputs, columns());
    // Limited from below already here, where it makes NaN the lowest code, as in input_code(); the
    // quantizer of training keeps NaN.
    const auto lowest = static_cast<float>(n_.input.quant_min);
    const float inverse_scale = 1 / static_cast<float>(n_.input.scale);
    const std::size_t count = columns();
    for (std::size_t r = 0; r < n_.inputs; ++r) {
      const float* const from = values.row(r);
      float* const to = x.row(r);
      for (std::size_t c = 0; c < count; ++c) {
        const float steps = from[c] * inverse_scale;
        to[c] = steps > lowest ? steps : lowest;
      }
    }
    // Floor, and not times the scale again: codes.
    kernels::fake_quantize_forward(ones_.data(), lowest, static_cast<float>(n_.input.quant_max),
                                   n_.inputs, count, x, x);
    return x;
  }

  kernels::Rows encode(kernels::ConstRows x) {
    h_ = model::take(m_.h, n_.channels, columns());
    sites_.encode(t_, x, h_);
    return h_;
  }
  void enter(kernels::Rows sums) { sites_.enter(columns(), sums); }

  kernels::ConstRows select(std::size_t l) {
    const model::BlockShape& shape = n_.blocks[l].shape;
    if (shape.every_channel(n_.channels)) return h_;
    const kernels::Rows u = model::take(m_.u, shape.size(), columns());
    for (std::size_t s = 0; s < shape.size(); ++s) {
      std::copy_n(h_.row(shape.channels[s]), columns(), u.row(s));
    }
    return u;
  }

  kernels::Rows recur(std::size_t l, kernels::ConstRows u) {
    const std::size_t S = n_.blocks[l].shape.size();
    const kernels::Rows y = model::take(m_.y, S, columns());
    std::fill_n(y.data, S * columns(), 0.0f);
    sites_.recur(l, t_, u, y);
    return y;
  }

  kernels::Rows activate(std::size_t l, kernels::Rows y, kernels::ConstRows u) {
    sites_.activate(l, columns(), y, u);
    return y;
  }

  kernels::Rows linear(std::size_t l, kernels::ConstRows a) {
    const kernels::Rows z = model::take(m_.z, n_.linear_outputs(), columns());
    sites_.linear(l, t_, a, z);
    return z;
  }

  kernels::Rows gate(std::size_t l, kernels::Rows z) {
    if (!n_.gated) return z;
    const kernels::Rows gate{z.row(n_.channels), z.stride};
    sites_.linear_codes(l, columns(), z);
    sites_.gate_codes(l, columns(), gate);
    kernels::multiply(n_.channels, columns(), z, gate, z);
    return z;
  }

  kernels::Rows add_residual(std::size_t l, kernels::ConstRows z) {
    sites_.add_residual(l, columns(), z, h_);
    return h_;
  }
  static void leave(std::size_t, kernels::Rows) {
  }  // add_residual() has already requantized the stream in place

  /// Adds the codes that the pooling of the network uses.
  void read() {
    if (n_.every_step) {
      read_(t_, h_);
      return;
    }
    // Float sums are exact over this many steps; 8-bit codes do not need more in one range of
    // steps.
    const auto most = static_cast<std::size_t>((1 << 24) / magnitude(n_.residual));
    const bool all = !n_.pool_last && std::all_of(lengths_, lengths_ + kLanes, [&](auto length) {
      return t_.start + t_.steps <= length;
    });
    for (std::size_t r = 0; r < n_.channels; ++r) {
      for (std::size_t begin = 0; begin < t_.steps; begin += most) {
        std::array<float, kLanes> sum{};
        for (std::size_t k = begin; k < std::min(t_.steps, begin + most); ++k) {
          const std::size_t t = t_.start + k;
          const float* const codes = h_.row(r) + k * kLanes;
          for (std::size_t i = 0; i < kLanes; ++i) {
            const bool counts = all || (n_.pool_last ? t + 1 == lengths_[i] : t < lengths_[i]);
            sum[i] += counts ? codes[i] : 0.0f;
          }
        }
        for (std::size_t i = 0; i < kLanes; ++i) {
          m_.pooled[r * kLanes + i] += static_cast<std::int64_t>(sum[i]);
        }
      }
    }
  }

 private:
  std::size_t columns() const { return t_.columns(); }

  const IntegerNetwork& n_;
  const float* values_;
  const std::uint32_t* lengths_;  // [16]
  Sites& sites_;
  CodeMemory& m_;
  Read read_;
  AlignedFloats ones_;  // [inputs]
  Stretch t_ = {};
  kernels::Rows h_;
};

/// Runs one group of sequences of a batch; m.pooled holds the pooled sums afterwards.
template <class Sites, class Read = NoSteps>
void run_codes(const IntegerNetwork& n, const data::Batch& batch, std::size_t group, Sites& sites,
               CodeMemory& m, Read read = {}) {
  CodePanels<Sites, Read> panels(n, batch, group, sites, m, std::move(read));
  const std::uint32_t* lengths = batch.lengths.data() + group * kLanes;
  // Steps after the longest sequence of the group are not pooled.
  const std::size_t end = *std::max_element(lengths, lengths + kLanes);
  for (std::size_t start = 0; start < end; start += batch.block_length) {
    panels.at({start, std::min(batch.block_length, batch.length - start)});
    model::walk_stretch(panels, n.blocks.size());
  }
}

}  // namespace crosstate::integer
