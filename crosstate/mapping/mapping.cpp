#include "crosstate/mapping/mapping.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/model/network_state.h"

namespace crosstate {
namespace {

void check(const Network& network, const CrossbarOptions& crossbar) {
  if (!network.quantized()) {
    fail("mapping", "the network is not quantized, and rows are driven by codes");
  }
  if (network.options().norm != "none") {
    fail("mapping",
         "norm is '" + network.options().norm + "', expected none: norms must be folded");
  }
  const QuantOptions& quant = network.quant_options();
  const auto fits = [&](const char* name, int bits) {
    if (bits == 0)
      fail("mapping", std::string(name) + " = 0 leaves values unrounded, expected codes");
    if (bits > crossbar.dac_bits) {
      fail("mapping", std::string(name) + " = " + std::to_string(bits) +
                          " exceeds crossbar.dac_bits = " + std::to_string(crossbar.dac_bits));
    }
  };
  fits("quant.input.bits", quant.input.bits);
  fits("quant.residual.bits", quant.residual.bits);
  fits("quant.activation.bits", quant.activation.bits);
  fits("quant.state.bits", quant.state.bits);
  if (quant.state.rounding != "nearest") {
    fail("mapping", "quant.state.rounding = \"" + quant.state.rounding +
                        "\", expected nearest: the arrays' converters round to nearest");
  }
}

// Cuts of [0, count) into the fewest parts of at most `most`, nearly equal.
std::vector<std::size_t> cuts(std::size_t count, std::size_t most) {
  const std::size_t parts = (count + most - 1) / most;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i <= parts; ++i) at.push_back(i * count / parts);
  return at;
}

class Mapper {
 public:
  Mapper(const Network& network, const CrossbarOptions& crossbar)
      : s_(network.state()),
        c_(s_.coefficients()),
        rows_(static_cast<std::size_t>(crossbar.rows)),
        columns_(static_cast<std::size_t>(crossbar.columns)),
        kept_(crossbar.recurrence == "increment" ? 1.0f : 0.0f) {}

  // weight: [outputs][inputs], acting on codes of the given scale.
  void matrix(Site site, std::size_t layer, const AlignedFloats& weight, std::size_t outputs,
              std::size_t inputs, float scale) {
    const std::vector<std::size_t> in = cuts(inputs, rows_), out = cuts(outputs, columns_);
    for (std::size_t o = 0; o + 1 < out.size(); ++o) {
      for (std::size_t i = 0; i + 1 < in.size(); ++i) {
        MappedArray a;
        a.site = site;
        a.layer = layer;
        a.first_input = in[i];
        a.first_output = out[o];
        a.rows = in[i + 1] - in[i];
        a.columns = out[o + 1] - out[o];
        a.used = a.rows * a.columns;
        a.weights.resize(a.used);
        for (std::size_t r = 0; r < a.rows; ++r) {
          for (std::size_t c = 0; c < a.columns; ++c) {
            a.weights[r * a.columns + c] = weight[(out[o] + c) * inputs + in[i] + r] * scale;
          }
        }
        arrays_.push_back(std::move(a));
      }
    }
  }

  // Pieces of nearly equal size, in the order of the channels; each array takes as many as fit.
  void recurrence(std::size_t layer) {
    const std::size_t per_mode = s_.complex() ? 2 : 1;
    const std::size_t most = (std::min(rows_, columns_) - 1) / per_mode;
    const std::vector<std::size_t> cut = cuts(s_.modes(), most);
    MappedArray a = empty(layer);
    for (std::size_t h = 0; h < s_.channels(); ++h) {
      for (std::size_t i = 0; i + 1 < cut.size(); ++i) {
        const std::size_t modes = cut[i + 1] - cut[i];
        const std::size_t lines = a.states + a.pieces.size() + modes * per_mode + 1;
        if (lines > std::min(rows_, columns_)) {
          finish(a);
          a = empty(layer);
        }
        a.pieces.push_back({h, cut[i], modes, a.states, i == 0});
        a.states += modes * per_mode;
      }
    }
    finish(a);
  }

  const Network::State& state() const { return s_; }
  const Coefficients& coefficients() const { return c_; }
  std::vector<MappedArray> take() { return std::move(arrays_); }

 private:
  static MappedArray empty(std::size_t layer) {
    MappedArray a;
    a.site = Site::kRecurrence;
    a.layer = layer;
    return a;
  }

  void finish(MappedArray& a) {
    const BlockCoefficients& c = c_.blocks[a.layer];
    const float unit = c_.residual.scale[0];
    const std::size_t inputs = a.pieces.size();
    a.rows = a.columns = a.states + inputs;
    a.weights.assign(a.rows * a.columns, 0);
    const auto put = [&](std::size_t row, std::size_t column, float w) {
      a.weights[row * a.columns + column] = w;
      ++a.used;
    };
    for (std::size_t i = 0; i < a.pieces.size(); ++i) {
      const Piece& p = a.pieces[i];
      const std::size_t y = a.states + i;
      if (p.feedthrough) put(i, y, c.d[p.channel] * unit);
      for (std::size_t n = 0; n < p.modes; ++n) {
        const std::size_t m = p.channel * s_.modes() + p.first_mode + n;
        const std::size_t re = p.state + (s_.complex() ? 2 * n : n), row = inputs + re;
        put(i, re, c.b[m] * unit);
        put(row, re, c.ar[m] - kept_);
        put(row, y, c.cr[m]);
        if (!s_.complex()) continue;
        put(row + 1, re, -c.ai[m]);
        put(row, re + 1, c.ai[m]);
        put(row + 1, re + 1, c.ar[m] - kept_);
        put(row + 1, y, -c.ci[m]);
      }
    }
    arrays_.push_back(std::move(a));
  }

  const Network::State& s_;
  const Coefficients c_;
  std::size_t rows_, columns_;
  float kept_;  // share of the state that a digital adder carries to the next step
  std::vector<MappedArray> arrays_;
};

}  // namespace

std::size_t Mapping::used_pairs() const {
  std::size_t n = 0;
  for (const MappedArray& a : arrays) n += a.used;
  return n;
}

double Mapping::utilisation() const {
  return static_cast<double>(used_pairs()) / static_cast<double>(arrays.size() * pairs_per_array);
}

std::size_t Mapping::conversions_per_step() const {
  std::size_t n = 0;
  for (const MappedArray& a : arrays) n += a.site == Site::kDecoder ? 0 : a.columns;
  return n;
}

std::size_t Mapping::conversions_per_sequence() const {
  std::size_t n = 0;
  for (const MappedArray& a : arrays) n += a.site == Site::kDecoder ? a.columns : 0;
  return n * decoder_slices;
}

std::vector<std::size_t> Mapping::of(Site site, std::size_t layer) const {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].site == site && arrays[i].layer == layer) numbers.push_back(i);
  }
  return numbers;
}

Mapping map_network(const Network& network, const CrossbarOptions& crossbar, std::size_t length) {
  validate(crossbar);
  check(network, crossbar);
  Mapper mapper(network, crossbar);
  const Network::State& s = mapper.state();
  const Coefficients& c = mapper.coefficients();
  const std::size_t H = s.channels(), O = s.linear_outputs();
  mapper.matrix(Site::kEncoder, 0, c.encoder, H, static_cast<std::size_t>(s.task.inputs),
                c.input.scale[0]);
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    mapper.recurrence(l);
    mapper.matrix(Site::kLinear, l, c.blocks[l].weight, O, H, c.quantizers[l].activation.scale[0]);
  }
  mapper.matrix(Site::kDecoder, 0, c.decoder, static_cast<std::size_t>(s.task.classes), H,
                c.residual.scale[0]);

  Mapping mapping;
  mapping.arrays = mapper.take();
  mapping.pairs_per_array =
      static_cast<std::size_t>(crossbar.rows) * static_cast<std::size_t>(crossbar.columns);
  // The pooled value is a whole number, the sum of a sequence's codes, or its last code.
  const auto limit = static_cast<std::uint64_t>(c.residual.high);
  const std::uint64_t sum = s.options.pooling == "last" ? limit : limit * length;
  const auto bits = static_cast<std::size_t>(std::bit_width(sum));
  const auto slice = static_cast<std::size_t>(crossbar.dac_bits - 1);
  mapping.decoder_slices = std::max<std::size_t>(1, (bits + slice - 1) / slice);
  return mapping;
}

}  // namespace crosstate
