#include "crosstate/integer/engine.h"

#include <algorithm>
#include <array>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/integer/pool.h"
#include "crosstate/kernels/paired_scan.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/state_draws.h"

namespace crosstate {
namespace {

struct LaneMatrix {
  AlignedFloats weight, bias;
  std::size_t rows, columns;
  explicit LaneMatrix(const IntegerMatrix& m)
      : weight(floats(m.weight)), bias(floats(m.bias)), rows(m.rows), columns(m.columns) {}
  void multiply(std::size_t count, ConstRows x, Rows y) const {
    linear_forward(weight.data(), bias.data(), rows, columns, count, x, y);
  }
};

// The recurrence of a channel in 16-bit lanes is exact below these sums.
constexpr double kPairedExact = 1 << 30, kWord = std::numeric_limits<std::int16_t>::max();

struct LaneBlock {
  AlignedFloats ar, ai, b, cr, ci;
  std::vector<std::int32_t> re, im, out, drive;  // PairedModes
  std::vector<bool> paired;                      // [S]: whether a channel may use them
  LaneFactors output, linear_codes, sum;
  CodeEntries activation, gate;
  LaneMatrix linear;

  std::size_t first_mode;  // its number in the network

  LaneBlock(const IntegerNetwork& n, const IntegerBlock& from, std::size_t first)
      : cr(floats(from.cr)),
        ci(floats(from.ci)),
        // D u joins the second product.
        output(from.output, from.shape.size(), n.residual, from.d),
        linear_codes(from.linear_codes, n.outputs()),
        sum(from.sum, n.channels, n.residual),
        activation(from.activation_table),
        gate(from.gate_table),
        linear(from.linear_map),
        first_mode(first) {
    for (const std::int16_t a : from.ar) ar.push_back(pole_value(a));
    for (const std::int16_t a : from.ai) ai.push_back(pole_value(a));
    for (const std::int32_t bits : from.input_shift) b.push_back(gain_value(bits));
    pair_up(n, from);
  }

  void pair_up(const IntegerNetwork& n, const IntegerBlock& from) {
    const auto negative = [](std::int16_t v) { return static_cast<std::int16_t>(-v); };
    const double limit = n.state_limit;
    const double input = double{largest_magnitude(n.residual)};
    std::vector<double> sums;
    for (std::size_t i = 0; i < from.ar.size(); ++i) {
      const std::int16_t r = from.ar[i], m = n.complex ? from.ai[i] : std::int16_t{0};
      re.push_back(pair_of(r, negative(m)));
      im.push_back(pair_of(m, r));
      out.push_back(pair_of(from.cr[i], n.complex ? negative(from.ci[i]) : std::int16_t{0}));
      const std::int32_t bits = from.input_shift[i];
      const auto gain = static_cast<std::int16_t>(bits <= kPairedFraction ? 1 << bits : 0);
      drive.push_back(pair_of(gain, 1 << (kPairedFraction - 1)));
      sums.push_back(gain == 0 ? kPairedExact
                               : 2 * ((std::abs(r) + std::abs(m)) * limit + gain * input) +
                                     (1 << kPairedFraction));
    }
    for (std::size_t s = 0; s < from.shape.size(); ++s) {
      double most = 0;
      for (std::size_t i = from.shape.first[s]; i < from.shape.first[s + 1]; ++i) {
        most = std::max(most, sums[i]);
      }
      paired.push_back(n.state_rounding == RoundingMode::kNearest && most < kPairedExact &&
                       std::max(input, limit) <= kWord);
    }
  }
};

using AlignedPairs = std::vector<std::int32_t, AlignedAllocator<std::int32_t>>;

// Memory of one thread; panels of one stretch of time.
struct Work {
  AlignedFloats x, h, u, y, z, state;
  AlignedPairs pairs;                // the state of channels in 16-bit lanes
  std::vector<std::int64_t> pooled;  // [H][16]
};

}  // namespace

struct IntegerEngine::Inside {
  IntegerNetwork n;
  bool exact;
  LaneMatrix encoder;
  LaneFactors encoder_codes;
  std::vector<LaneBlock> blocks;
  std::size_t state_size;                   // of a mode
  std::array<std::uint32_t, kLanes> seeds;  // every sequence the same

  explicit Inside(const IntegerNetwork& network)
      : n(network),
        exact(exact_in_float(network)),
        encoder(network.encoder),
        encoder_codes(network.encoder_codes, network.channels),
        state_size(scan_state_size(1, network.state_rounding)) {
    seeds.fill(kDeployedSeed);
    for (const IntegerBlock& b : n.blocks) {
      blocks.emplace_back(n, b, n.first_mode(blocks.size()));
    }
  }

  // The channels of the stream that a block's recurrence takes; `to` has room for them.
  ConstRows recurrence_input(const BlockShape& shape, std::size_t columns, ConstRows h,
                             Rows to) const {
    if (shape.every_channel(n.channels)) return h;
    for (std::size_t s = 0; s < shape.size(); ++s) {
      std::copy_n(h.row(shape.channels[s]), columns, to.row(s));
    }
    return to;
  }

  // The residual stream h of the steps from `start` on through one block, in place. z has room for
  // O + H rows.
  void block(std::size_t l, std::size_t start, std::size_t steps, Rows h, Rows copied, Rows y,
             Rows z, float* state, std::int32_t* pairs) const {
    const LaneBlock& b = blocks[l];
    const IntegerBlock& from = n.blocks[l];
    const BlockShape& shape = from.shape;
    const std::size_t H = n.channels, S = shape.size(), columns = steps * kLanes;
    const ConstRows u = recurrence_input(shape, columns, h, copied);
    std::fill_n(y.data, S * columns, 0.0f);
    for (std::size_t s = 0; s < S; ++s) {
      const std::size_t at = shape.first[s];
      if (b.paired[s]) {
        const PairedModes modes{shape.modes(s), b.re.data() + at, b.im.data() + at,
                                b.out.data() + at, b.drive.data() + at};
        paired_scan(modes, static_cast<std::int16_t>(n.state_limit), steps, u.row(s), y.row(s),
                    pairs + at * kLanes);
        continue;
      }
      const ScanModes modes{
          shape.modes(s),  b.ar.data() + at, n.complex ? b.ai.data() + at : nullptr,
          b.b.data() + at, b.cr.data() + at, n.complex ? b.ci.data() + at : nullptr};
      const DrawAddress draws{seeds.data(), static_cast<std::uint32_t>(b.first_mode + at),
                              static_cast<std::uint32_t>(start)};
      scan_forward(modes, {static_cast<float>(n.state_limit), n.state_rounding, draws}, steps,
                   u.row(s), y.row(s), state + at * state_size);
    }
    const LaneTable activation = b.activation.lanes(), gates = b.gate.lanes();
    requantize_rows(b.output.to(from.ssm_output, &activation), S, columns, y, u, y);
    b.linear.multiply(columns, y, z);
    if (n.gated) {
      const Rows gate{z.row(H), z.stride};
      requantize_rows(b.linear_codes.to(from.linear), H, columns, z, z, z);
      requantize_rows(b.linear_codes.to(from.linear, &gates, H), H, columns, gate, gate, gate);
      multiply(H, columns, z, gate, z);
    }
    requantize_rows(b.sum.to(n.residual), H, columns, z, h, h);
  }

  void run_group(const Batch& batch, std::size_t group, Work& w) const {
    const std::size_t H = n.channels, most = batch.block_length * kLanes;
    w.x.resize(n.inputs * most);
    w.h.resize(H * most);
    w.u.resize(H * most);
    w.y.resize(H * most);
    w.z.resize(n.outputs() * most);
    w.state.assign(n.first_mode(blocks.size()) * state_size, 0);
    w.pairs.assign(n.first_mode(blocks.size()) * kLanes, 0);
    w.pooled.assign(H * kLanes, 0);
    const std::uint32_t* lengths = batch.lengths.data() + group * kLanes;
    const AlignedFloats scale(n.inputs, static_cast<float>(n.input.scale));
    const AlignedFloats inverse(n.inputs, 1 / scale[0]);
    for (std::size_t t0 = 0; t0 < batch.length; t0 += batch.block_length) {
      const std::size_t steps = std::min(batch.block_length, batch.length - t0);
      const std::size_t columns = steps * kLanes;
      const ConstRows in(batch.group(group).data() + t0 * n.inputs * kLanes, columns);
      const Rows x{w.x.data(), columns}, h{w.h.data(), columns};
      // x / scale, floor, and not times the scale again: codes.
      affine_forward(inverse.data(), nullptr, n.inputs, columns, in, x);
      const AlignedFloats ones(n.inputs, 1);
      fake_quantize_forward(ones.data(), static_cast<float>(n.input.low),
                            static_cast<float>(n.input.high), n.inputs, columns, x, x);
      encoder.multiply(columns, x, h);
      requantize_rows(encoder_codes.to(n.residual), H, columns, h, h, h);
      for (std::size_t l = 0; l < blocks.size(); ++l) {
        block(l, t0, steps, h, {w.u.data(), columns}, {w.y.data(), columns}, {w.z.data(), columns},
              w.state.data() + blocks[l].first_mode * state_size,
              w.pairs.data() + blocks[l].first_mode * kLanes);
      }
      pool_codes(n, t0, steps, lengths, h, w.pooled.data());
    }
  }

  IntegerResult result(const Work& w, std::size_t lane, std::uint32_t length) const {
    std::vector<std::int64_t> sums;
    for (std::size_t k = 0; k < n.classes; ++k) {
      std::int64_t sum = (n.pool_last ? 1 : std::int64_t{length}) * n.decoder.bias[k];
      for (std::size_t h = 0; h < n.channels; ++h) {
        sum += n.decoder.weight[k * n.channels + h] * w.pooled[h * kLanes + lane];
      }
      sums.push_back(sum);
    }
    return scored(n, sums, length);
  }

  // Sequence i of a batch by the reference.
  IntegerResult run_reference(const Batch& batch, std::size_t i) const {
    const std::size_t group = i / kLanes, lane = i % kLanes, length = batch.lengths[i];
    std::vector<float> values(length * n.inputs);
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t c = 0; c < n.inputs; ++c) {
        values[t * n.inputs + c] = batch.group(group)[batch.offset(c, t, lane)];
      }
    }
    return ReferenceExecutor(n).run(values, length);
  }
};

IntegerEngine::IntegerEngine(const IntegerNetwork& network)
    : inside_(std::make_unique<Inside>(network)) {}
IntegerEngine::~IntegerEngine() = default;
IntegerEngine::IntegerEngine(IntegerEngine&&) noexcept = default;

bool IntegerEngine::vectorised() const { return inside_->exact; }

std::vector<IntegerResult> IntegerEngine::run(const Batch& batch, ThreadPool& pool) const {
  const Inside& in = *inside_;
  if (batch.channels != in.n.inputs) {
    fail("batch", std::to_string(batch.channels) + " channels, but the network has " +
                      std::to_string(in.n.inputs) + " inputs");
  }
  require_length(in.n, batch.length, "integer network", "a sequence");
  std::vector<IntegerResult> results(batch.count);
  if (!in.exact) {
    pool.parallel_for(batch.count,
                      [&](std::size_t i, int) { results[i] = in.run_reference(batch, i); });
    return results;
  }
  std::vector<Work> work(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    Work& w = work[static_cast<std::size_t>(worker)];
    in.run_group(batch, g, w);
    for (std::size_t i = g * kLanes; i < std::min(batch.count, (g + 1) * kLanes); ++i) {
      results[i] = in.result(w, i % kLanes, batch.lengths[i]);
    }
  });
  return results;
}

}  // namespace crosstate
