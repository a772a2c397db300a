#include "crosstate/simulate/chip.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"
#include "crosstate/model/network_state.h"

namespace crosstate {
namespace {

// Every chip has a seed of its own, so that an address within it needs no chip number. Stream 0 is
// no other's.
std::uint64_t chip_seed(std::uint64_t seed, std::uint32_t number) {
  const auto words = philox(seed, number, 0, 0, 0);
  return std::uint64_t{words[0]} << 32 | words[1];
}

// A converter of `bits` in place of a site's rounding: the same codes if it has enough bits,
// otherwise wider steps over the same range.
Quantizer converter(Quantizer site, int bits) {
  const int site_bits = static_cast<int>(std::lround(std::log2(site.high + 1))) + 1;
  if (bits >= site_bits) return site;
  site.high = std::exp2(static_cast<float>(bits - 1)) - 1;
  site.low = -site.high;
  for (float& s : site.scale) s *= std::exp2(static_cast<float>(site_bits - bits));
  return site;
}

Rows take(AlignedFloats& memory, std::size_t rows, std::size_t columns) {
  if (memory.size() < rows * columns) memory.resize(rows * columns);
  return {memory.data(), columns};
}

void convert(const Quantizer& q, std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  if (rows == 0) return;
  fake_quantize_forward(q.scale.data(), q.low, q.high, rows, columns, x, y);
}

// The whole numbers that rounded values stand for.
void codes(const Quantizer& q, std::size_t rows, std::size_t columns, ConstRows x, Rows y) {
  const AlignedFloats inverse(rows, 1 / q.scale[0]);
  affine_forward(inverse.data(), nullptr, rows, columns, x, y);
}

// Memory of one thread. Panels are [rows][steps][16] of one stretch of time.
struct Work {
  std::vector<AlignedFloats> rows;  // by array: what drives a recurrent array, [u, x] in 16 lanes
  AlignedFloats input, h, u, y, a, z, gate, partial, columns;
  ReadScratch read;
  std::vector<std::int64_t> pooled;  // [H][16] sums of codes
};

// A stretch of time of one group of sequences.
struct Stretch {
  std::size_t start, steps;
  std::uint32_t sequence;  // of lane 0
  std::size_t columns() const { return steps * kLanes; }
  std::uint32_t step() const { return static_cast<std::uint32_t>(start); }
};

}  // namespace

struct Chip::Inside {
  Network::State network;
  Coefficients c;
  const Mapping* mapping;
  std::vector<ProgrammedArray> arrays;
  std::vector<std::size_t> encoder, decoder;
  struct Layer {
    std::vector<std::size_t> recurrence, linear;
    Quantizer output_converter, linear_converter;
  };
  std::vector<Layer> layers;
  Quantizer state_converter, residual_converter;
  AlignedFloats ones;
  AlignedFloats ties;  // what the states' converters add: the network's ties, which noise decides
  int slice_bits = 0;
  bool incremental = false;

  Inside(const Network& source, const Mapping& map, const DeviceOptions& device,
         const CrossbarOptions& crossbar, std::uint64_t seed)
      : network(source.state()), c(network.deployed_coefficients()), mapping(&map) {
    std::size_t widest = network.linear_outputs();
    for (std::size_t i = 0; i < map.arrays.size(); ++i) {
      const MappedArray& a = map.arrays[i];
      arrays.emplace_back(a.weights, a.rows, a.columns, device, crossbar, seed,
                          static_cast<std::uint32_t>(i));
      widest = std::max(widest, a.rows);
    }
    ones.assign(widest, 1);
    ties.assign(widest, kScanTie);
    encoder = map.of(Site::kEncoder);
    decoder = map.of(Site::kDecoder);
    for (std::size_t l = 0; l < network.blocks.size(); ++l) {
      layers.push_back({map.of(Site::kRecurrence, l), map.of(Site::kLinear, l),
                        converter(c.quantizers[l].ssm_output, crossbar.adc_bits),
                        converter(c.quantizers[l].linear, crossbar.adc_bits)});
    }
    const float limit = c.rounding.limit;
    state_converter = converter({true, -limit, limit, ones}, crossbar.adc_bits);
    residual_converter = converter(c.residual, crossbar.adc_bits);
    slice_bits = crossbar.dac_bits - 1;
    incremental = crossbar.recurrence == "increment";
  }

  // y = W x + bias over the tiles of a matrix; the first tiles' converters add the bias.
  void matrix(const std::vector<std::size_t>& tiles, const float* bias, const Stretch& t,
              ConstRows x, Rows y, Work& w) const {
    for (const std::size_t i : tiles) {
      const MappedArray& tile = mapping->arrays[i];
      const ConstRows in(x.row(tile.first_input), x.stride);
      const Rows out{y.row(tile.first_output), y.stride};
      const bool first = tile.first_input == 0;
      const Rows to = first ? out : take(w.partial, tile.columns, t.columns());
      arrays[i].multiply(0, tile.columns, t.steps, in, to, t.sequence, t.step(), w.read,
                         first && bias != nullptr ? bias + tile.first_output : nullptr);
      if (!first) accumulate(nullptr, tile.columns, t.columns(), to, out);
    }
  }

  // One recurrent array through a stretch of time: two products a step, states fed back as codes.
  // Adds each piece's part of y.
  void recur(std::size_t number, const Stretch& t, ConstRows u, Rows y, Work& w) const {
    const MappedArray& a = mapping->arrays[number];
    const ProgrammedArray& array = arrays[number];
    const std::size_t pieces = a.pieces.size();
    float* rows = w.rows[number].data();
    const Rows in{rows, kLanes}, states{rows + pieces * kLanes, kLanes};
    const Rows out = take(w.columns, a.columns, kLanes);
    for (std::size_t k = 0; k < t.steps; ++k) {
      const std::uint32_t step = t.step() + static_cast<std::uint32_t>(k);
      for (std::size_t i = 0; i < pieces; ++i) {
        std::copy_n(u.row(a.pieces[i].channel) + k * kLanes, kLanes, in.row(i));
      }
      array.multiply(0, a.states, 1, in, out, t.sequence, step, w.read, ties.data());
      if (incremental) accumulate(nullptr, a.states, kLanes, states, out);
      convert(state_converter, a.states, kLanes, out, states);
      array.multiply(a.states, pieces, 1, in, out, t.sequence, step, w.read);
      for (std::size_t i = 0; i < pieces; ++i) {
        float* to = y.row(a.pieces[i].channel) + k * kLanes;
        for (std::size_t lane = 0; lane < kLanes; ++lane) to[lane] += out.row(i)[lane];
      }
    }
  }

  // The residual stream h (values, not codes) through one layer, in place.
  void block(std::size_t l, const Stretch& t, Rows h, Work& w) const {
    const std::size_t H = network.channels(), O = network.linear_outputs(), n = t.columns();
    const BlockQuantizers& q = c.quantizers[l];
    const Rows u = take(w.u, H, n), y = take(w.y, H, n), a = take(w.a, H, n), z = take(w.z, O, n);
    codes(c.residual, H, n, h, u);
    std::fill_n(y.data, H * n, 0.0f);
    for (const std::size_t i : layers[l].recurrence) recur(i, t, u, y, w);
    convert(layers[l].output_converter, H, n, y, y);

    look_up(q.activation_table, H, n, y, a);
    codes(q.activation, H, n, a, a);
    matrix(layers[l].linear, c.blocks[l].bias.data(), t, a, z, w);
    if (!network.gated()) {
      accumulate(nullptr, H, n, z, h);
      convert(residual_converter, H, n, h, h);
      return;
    }
    convert(layers[l].linear_converter, O, n, z, z);
    const Rows gate = take(w.gate, H, n);
    look_up(q.gate_table, H, n, ConstRows(z.row(H), n), gate);
    multiply(H, n, z, gate, z);
    accumulate(nullptr, H, n, z, h);
    convert(c.residual, H, n, h, h);
  }

  // Adds the codes of h that pooling counts.
  void pool(const Stretch& t, const std::uint32_t* lengths, ConstRows h, Work& w) const {
    const bool last = network.options.pooling == "last";
    const float inverse = 1 / c.residual.scale[0];
    for (std::size_t r = 0; r < network.channels(); ++r) {
      for (std::size_t k = 0; k < t.steps; ++k) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          const std::size_t at = t.start + k;
          if (last ? at + 1 != lengths[lane] : at >= lengths[lane]) continue;
          w.pooled[r * kLanes + lane] += std::lround(h.row(r)[k * kLanes + lane] * inverse);
        }
      }
    }
  }

  // Class scores [classes][16] from the pooled codes, which go in by slices of the drivers' bits.
  void decode(std::uint32_t sequence, std::size_t length, const std::uint32_t* lengths, Work& w,
              Rows scores) const {
    const std::size_t H = network.channels();
    const auto classes = static_cast<std::size_t>(network.task.classes);
    const Rows slice = take(w.a, H, kLanes), part = take(w.z, classes, kLanes);
    std::fill_n(scores.data, classes * kLanes, 0.0f);
    for (std::size_t k = 0; k < mapping->decoder_slices; ++k) {
      const int shift = static_cast<int>(k) * slice_bits;
      for (std::size_t i = 0; i < H * kLanes; ++i) {
        const std::int64_t sum = w.pooled[i], magnitude = sum < 0 ? -sum : sum;
        const auto bits = static_cast<float>((magnitude >> shift) & ((1 << slice_bits) - 1));
        slice.data[i] = sum < 0 ? -bits : bits;
      }
      // Behind the last time step, so that no draw of the decoder is used twice.
      matrix(decoder, nullptr, {length + k, 1, sequence}, slice, part, w);
      const float weight = std::exp2(static_cast<float>(shift));
      for (std::size_t i = 0; i < classes * kLanes; ++i) scores.data[i] += weight * part.data[i];
    }
    const bool last = network.options.pooling == "last";
    for (std::size_t k = 0; k < classes; ++k) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const auto n = static_cast<float>(last ? 1 : std::max(1u, lengths[lane]));
        float& score = scores.row(k)[lane];
        score = score / n + c.decoder_bias[k];
      }
    }
  }

  // Scores of one group of 16 sequences.
  void run_group(const Batch& batch, std::size_t group, std::uint32_t sequence, Work& w,
                 Rows scores) const {
    const std::size_t H = network.channels();
    const auto inputs = static_cast<std::size_t>(network.task.inputs);
    w.rows.resize(arrays.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (mapping->arrays[i].site == Site::kRecurrence) {
        w.rows[i].assign(mapping->arrays[i].rows * kLanes, 0);
      }
    }
    w.pooled.assign(H * kLanes, 0);
    const std::uint32_t* lengths = batch.lengths.data() + group * kLanes;
    // Nothing behind the group's last sequence is counted.
    const std::size_t end = *std::max_element(lengths, lengths + kLanes);
    for (std::size_t t0 = 0; t0 < end; t0 += batch.block_length) {
      const Stretch t{t0, std::min(batch.block_length, batch.length - t0), sequence};
      const ConstRows x(batch.group(group).data() + t0 * inputs * kLanes, t.columns());
      const Rows input = take(w.input, inputs, t.columns()), h = take(w.h, H, t.columns());
      convert(c.input, inputs, t.columns(), x, input);
      codes(c.input, inputs, t.columns(), input, input);
      matrix(encoder, c.encoder_bias.data(), t, input, h, w);
      convert(residual_converter, H, t.columns(), h, h);
      for (std::size_t l = 0; l < layers.size(); ++l) block(l, t, h, w);
      pool(t, lengths, h, w);
    }
    decode(sequence, batch.length, lengths, w, scores);
  }
};

Chip::Chip(const Network& network, const Mapping& mapping, const DeviceOptions& device,
           const CrossbarOptions& crossbar, std::uint64_t seed, std::uint32_t number)
    : inside_(
          std::make_unique<Inside>(network, mapping, device, crossbar, chip_seed(seed, number))) {}
Chip::~Chip() = default;
Chip::Chip(Chip&&) noexcept = default;
Chip& Chip::operator=(Chip&&) noexcept = default;

BatchResult Chip::run(const Batch& batch, std::uint32_t sequence, ThreadPool& pool,
                      std::vector<float>* logits) const {
  const auto classes = static_cast<std::size_t>(inside_->network.task.classes);
  std::vector<Work> work(static_cast<std::size_t>(pool.size()));
  AlignedFloats scores(batch.groups * classes * kLanes);
  pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
    inside_->run_group(batch, g, sequence + static_cast<std::uint32_t>(g * kLanes),
                       work[static_cast<std::size_t>(worker)],
                       {scores.data() + g * classes * kLanes, kLanes});
  });

  BatchResult result;
  if (logits != nullptr) logits->resize(batch.count * classes);
  std::vector<float> out(classes);
  for (std::size_t i = 0; i < batch.count; ++i) {
    const float* of = scores.data() + i / kLanes * classes * kLanes + i % kLanes;
    for (std::size_t k = 0; k < classes; ++k) out[k] = of[k * kLanes];
    if (logits != nullptr) {
      std::copy(out.begin(), out.end(), logits->data() + i * classes);
    }
    const auto top = std::max_element(out.begin(), out.end());
    const auto truth = static_cast<std::size_t>(batch.labels[i]);
    result.correct += static_cast<std::size_t>(top - out.begin()) == truth ? 1 : 0;
    double total = 0;
    for (const float z : out) total += std::exp(static_cast<double>(z) - *top);
    result.loss += std::log(total) + *top - out[truth];
  }
  result.loss /= static_cast<double>(batch.count);
  return result;
}

}  // namespace crosstate
