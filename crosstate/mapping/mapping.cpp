#include "crosstate/mapping/mapping.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "crosstate/analog/placement.h"
#include "crosstate/base/error.h"
#include "crosstate/integer/lanes.h"

namespace crosstate::mapping {
namespace {

void check(const integer::IntegerNetwork& network) {
  if (network.state_rounding == kernels::RoundingMode::kStochastic) {
    fail("mapping",
         "quant.state.rounding = \"stochastic\", expected nearest: the arrays' converters round to "
         "nearest");
  }
}

// Number of products required by values that have one of `count` codes or, if these exceed the
// levels of the DACs, magnitudes of up to `magnitude`: slices of one bit less than the DACs have,
// and a sign.
std::size_t slices(std::uint64_t count, std::uint64_t magnitude, int dac_bits) {
  if (count <= std::uint64_t{1} << dac_bits) return 1;
  const auto slice = static_cast<std::size_t>(dac_bits - 1);
  const auto bits = static_cast<std::size_t>(std::bit_width(magnitude));
  return std::max<std::size_t>(1, (bits + slice - 1) / slice);
}

std::uint64_t magnitude(const integer::CodeFormat& f) {
  return static_cast<std::uint64_t>(
      std::max(std::abs(std::int64_t{f.quant_min}), std::int64_t{f.quant_max}));
}

std::size_t slices(const integer::CodeFormat& f, int dac_bits) {
  const auto count = static_cast<std::uint64_t>(std::int64_t{f.quant_max} - f.quant_min + 1);
  return slices(count, magnitude(f), dac_bits);
}

// Bits of a slice, including its sign, for which binary32 represents every sum of the matrix
// exactly. Narrower DACs use narrower slices.
int exact_bits(const integer::IntegerMatrix& m) {
  std::uint64_t largest = 1;
  for (std::size_t r = 0; r < m.rows; ++r) {
    std::uint64_t sum = 0;
    for (std::size_t c = 0; c < m.columns; ++c) {
      sum += static_cast<std::uint64_t>(std::abs(std::int64_t{m.weight[r * m.columns + c]}));
    }
    largest = std::max(largest, sum);
  }
  return std::max(2, 25 - static_cast<int>(std::bit_width(largest)));
}

class Mapper {
 public:
  Mapper(const integer::IntegerNetwork& network, const crossbar::CrossbarOptions& crossbar)
      : n_(network),
        crossbar_(crossbar),
        digital_(crossbar::digital_sites(crossbar)),
        array_(crossbar::array_geometry(crossbar)),
        packed_(crossbar.packing == crossbar::ChannelPacking::kPacked),
        blocks_(crossbar.driven == crossbar::DrivenRows::kBlocks) {}

  void run() {
    digital_.require_blocks(n_.blocks.size());
    if (!digital_.encoder()) matrix(Site::kEncoder, 0, n_.encoder);
    for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
      if (!digital_.block(l).recurrence()) recurrence(l);
      if (!digital_.block(l).pointwise) matrix(Site::kLinear, l, n_.blocks[l].linear_map);
    }
    if (!digital_.decoder()) matrix(Site::kDecoder, 0, n_.decoder);
    if (arrays_.empty()) {
      fail(kOptions, "crossbar.digital = \"" + crossbar_.digital +
                         "\" leaves no site for arrays, expected at least one");
    }
  }

  std::vector<MappedArray> take() { return std::move(arrays_); }

 private:
  void matrix(Site site, std::size_t layer, const integer::IntegerMatrix& m) {
    const std::vector<std::size_t> in = analog::cuts(m.columns, array_.rows),
                                   out = analog::cuts(m.rows, array_.columns);
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
            a.weights[r * a.columns + c] = m.weight[(out[o] + c) * m.columns + in[i] + r];
          }
        }
        arrays_.push_back(std::move(a));
      }
    }
  }

  // Pieces of nearly equal size, in the order of the channels; each array gets as many as fit.
  void recurrence(std::size_t layer) {
    const std::size_t per_mode = n_.complex ? 2 : 1;
    array_ = crossbar::array_geometry(crossbar_, digital_.block(layer));
    const std::size_t most = analog::modes_of_piece(array_, n_.complex);
    const model::BlockShape& shape = n_.blocks[layer].shape;
    MappedArray a = empty(layer);
    for (std::size_t h = 0; h < shape.size(); ++h) {
      if (shape.modes(h) == 0) continue;  // only its D remains, which is digital
      const std::vector<std::size_t> cut = analog::cuts(shape.modes(h), most);
      for (std::size_t i = 0; i + 1 < cut.size(); ++i) {
        const std::size_t modes = cut[i + 1] - cut[i];
        const std::size_t states = a.states + modes * per_mode, pieces = a.pieces.size() + 1;
        const std::size_t rows = states + (array_.states ? pieces : 0);
        const std::size_t columns = (array_.states ? states : 0) + (array_.outputs ? pieces : 0);
        const bool full = rows > array_.rows || columns > array_.columns;
        if (full || (!packed_ && !a.pieces.empty())) {
          finish(a);
          a = empty(layer);
        }
        a.pieces.push_back({h, cut[i], modes, a.states});
        a.states += modes * per_mode;
      }
    }
    finish(a);
  }

  static MappedArray empty(std::size_t layer) {
    MappedArray a;
    a.site = Site::kRecurrence;
    a.layer = layer;
    return a;
  }

  void finish(MappedArray& a) {
    if (a.pieces.empty()) return;
    const integer::IntegerBlock& b = n_.blocks[a.layer];
    if (array_.states) {
      a.input_rows = a.pieces.size();
      a.state_columns = a.states;
    }
    if (array_.outputs) a.output_columns = a.pieces.size();
    a.rows = a.input_rows + a.states;
    a.columns = a.state_columns + a.output_columns;
    a.weights.assign(a.rows * a.columns, 0);
    if (blocks_) a.drive.assign(a.rows * a.columns, 0);
    for (std::size_t i = 0; i < a.pieces.size(); ++i) {
      const Piece& p = a.pieces[i];
      const std::vector<analog::CodeMode> modes = modes_of(b, p);
      const float most = analog::largest_output(modes);
      for (std::size_t n = 0; n < p.modes; ++n) {
        const std::size_t re = p.state + (n_.complex ? 2 * n : n);
        const analog::ModePlacement placement(modes[n], n_.complex, most, array_);
        for (const analog::PlacedPair& pair : placement.pairs()) {
          const bool output = pair.column == analog::Line::kOutput;
          if (output ? !array_.outputs : !array_.states) continue;
          const std::size_t row = pair.row == analog::Line::kInput       ? i
                                  : pair.row == analog::Line::kImaginary ? a.input_rows + re + 1
                                                                         : a.input_rows + re;
          const std::size_t column = output                                    ? a.state_columns + i
                                     : pair.column == analog::Line::kImaginary ? re + 1
                                                                               : re;
          a.weights[row * a.columns + column] = pair.weight;
          if (blocks_) a.drive[row * a.columns + column] = pair.level;
          a.used += pair.idle ? 0 : 1;
        }
      }
    }
    arrays_.push_back(std::move(a));
  }

  // In units of the accumulators: of the codes of the state, and of the codes of C.
  std::vector<analog::CodeMode> modes_of(const integer::IntegerBlock& b, const Piece& p) const {
    std::vector<analog::CodeMode> modes;
    for (std::size_t n = 0; n < p.modes; ++n) {
      const std::size_t m = b.shape.first[p.channel] + p.first_mode + n;
      analog::CodeMode mode{.gain = quant::gain_value(b.input_shift[m]),
                            .ar = quant::pole_value(b.ar[m]),
                            .cr = static_cast<float>(b.cr[m])};
      if (n_.complex) {
        mode.ai = quant::pole_value(b.ai[m]);
        mode.ci = static_cast<float>(b.ci[m]);
      }
      modes.push_back(mode);
    }
    return modes;
  }

  const integer::IntegerNetwork& n_;
  const crossbar::CrossbarOptions& crossbar_;
  analog::DigitalSites digital_;
  analog::ArrayGeometry array_;  // of the recurrences of the present block
  bool packed_, blocks_;
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
  for (const MappedArray& a : arrays) {
    switch (a.site) {
      case Site::kEncoder:
        n += a.columns * input_slices;
        break;
      case Site::kRecurrence:
        n += a.columns * state_slices;
        break;
      case Site::kLinear:
        n += a.columns * activation_slices;
        break;
      case Site::kDecoder:
        n += decoder_each_step ? a.columns * decoder_slices : 0;
        break;
    }
  }
  return n * conversions_of_weight;
}

std::size_t Mapping::conversions_per_sequence() const {
  if (decoder_each_step) return 0;
  std::size_t n = 0;
  for (const MappedArray& a : arrays) n += a.site == Site::kDecoder ? a.columns : 0;
  return n * decoder_slices * conversions_of_weight;
}

std::size_t Mapping::products(std::size_t number) const {
  const MappedArray& a = arrays[number];
  if (a.site != Site::kRecurrence) return 1;
  const bool states = a.state_columns > 0, outputs = a.output_columns > 0;
  if (a.drive.empty()) return (states ? 1 : 0) + (outputs ? 1 : 0);
  std::size_t n = a.output_columns;
  for (const Piece& p : a.pieces) n += states ? p.modes : 0;
  return n;
}

std::vector<std::size_t> Mapping::of(Site site, std::size_t layer) const {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].site == site && arrays[i].layer == layer) numbers.push_back(i);
  }
  return numbers;
}

Mapping map_network(const integer::IntegerNetwork& network,
                    const crossbar::CrossbarOptions& crossbar, std::size_t length) {
  crossbar::validate(crossbar);
  check(network);
  Mapper mapper(network, crossbar);
  mapper.run();
  Mapping mapping;
  mapping.arrays = mapper.take();
  mapping.pairs_per_array =
      static_cast<std::size_t>(crossbar.rows) * static_cast<std::size_t>(crossbar.columns);
  mapping.decoder_each_step = network.every_step;
  mapping.copies = static_cast<std::size_t>(crossbar.slices);
  mapping.conversions_of_weight = crossbar.slice_base > 1 ? mapping.copies : 1;
  const int bits = crossbar.dac_bits;
  mapping.input_slices = slices(network.input, bits);
  const integer::CodeFormat state{-network.state_limit, network.state_limit, 1};
  mapping.state_slices = std::max(slices(state, bits), slices(network.residual, bits));
  for (const integer::IntegerBlock& b : network.blocks) {
    mapping.activation_slices = std::max(mapping.activation_slices, slices(b.activation, bits));
  }
  // The pooled value is an integer: the sum of the codes of a sequence, or the last code.
  const std::uint64_t sum = magnitude(network.residual) * (network.pool_last ? 1 : length);
  mapping.decoder_bits = std::min(bits, exact_bits(network.decoder));
  mapping.decoder_slices = slices(2 * sum + 1, sum, mapping.decoder_bits);
  return mapping;
}

}  // namespace crosstate::mapping
