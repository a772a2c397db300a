#include "crosstate/simulate/chip.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>

#include "crosstate/base/error.h"
#include "crosstate/base/format.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/code_panels.h"
#include "crosstate/integer/lane_sites.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/simulate/array_plan.h"
#include "crosstate/simulate/conversion.h"

namespace crosstate::simulate {
namespace {

constexpr FileFormat kFormat("crosstate chip", 1);

// Every chip has its own seed, so that an address within a chip needs no chip number. Stream 0 has
// no other use.
std::uint64_t chip_seed(std::uint64_t seed, std::uint32_t number) {
  const auto words = philox(seed, number, 0, 0, 0);
  return std::uint64_t{words[0]} << 32 | words[1];
}

// Prefix of the tensors of one copy of an array in a saved chip.
std::string prefix_of(std::size_t array, std::size_t copy) {
  const std::string of_array = "arrays." + std::to_string(array) + ".";
  return copy == 0 ? of_array : "copies." + std::to_string(copy) + "." + of_array;
}

// Scratch memory of one thread.
struct Work {
  integer::CodeMemory panels;
  std::vector<AlignedFloats> rows;      // by array: inputs of a recurrent array, [u, x] in 16 lanes
  std::vector<AlignedFloats> residues;  // by array: of noise-shaped states, in 16 lanes
  std::vector<AlignedFloats> weights;   // by array: of the sequences of a group; empty: the chip's
  std::vector<AlignedFloats> states;    // by block: of digital recurrences
  integer::LaneStates lane_states;
  AlignedFloats partial, columns, unused;
  crossbar::ReadScratch read;
  std::vector<std::vector<float>> seen;  // by array: largest sums per column; empty: not recorded
  float* path = nullptr;                 // Chip::state_path(); null: not recorded

  float* seen_by(std::size_t array) { return seen.empty() ? nullptr : seen[array].data(); }
  const float* weights_of(std::size_t array) const {
    return weights[array].empty() ? nullptr : weights[array].data();
  }
};

struct Layer {
  analog::DigitalBlock digital;
  std::vector<std::size_t> recurrence, linear;  // array numbers
  integer::CodeEntries activation, gate;
  AlignedFloats bias;
  Conversion output, linear_codes, sum;
};

}  // namespace

struct Chip::Inside {
  integer::IntegerNetwork n;
  const mapping::Mapping* mapping;
  crossbar::Target target;
  std::uint64_t seed;
  hardware::Backend* backend;
  std::vector<crossbar::ProgrammedArray> arrays;
  std::vector<std::size_t> encoder, decoder;
  AlignedFloats encoder_bias;
  Conversion encoder_codes;
  std::vector<Layer> layers;
  AlignedFloats state_step;  // [rows], of the converters of states
  float state_limit = 0;
  std::vector<AlignedFloats> places;  // by array: of the registers of noise-shaped states
  AlignedFloats ones;                 // [rows]
  bool incremental = false;
  analog::DigitalSites digital;
  integer::LaneNetwork lanes;  // of the digital sites

  Inside(const integer::IntegerNetwork& network, const mapping::Mapping& map,
         const crossbar::Target& t, std::uint64_t of_chip, hardware::Backend* cells,
         ThreadPool* pool)
      : n(network),
        mapping(&map),
        target(t),
        seed(of_chip),
        backend(cells),
        digital(crossbar::digital_sites(t.crossbar)),
        lanes(n) {
    digital.require_blocks(n.blocks.size());
    if (!digital.empty() && !integer::exact_in_float(n, /*states=*/true)) {
      fail(kOptions,
           "crossbar.digital = \"" + target.crossbar.digital +
               "\", expected \"\" for this network: its sums exceed the 24 bits in which the "
               "simulator computes digital sites exactly");
    }
    const int bits = target.crossbar.adc_bits;
    incremental = target.crossbar.recurrence == crossbar::PoleStorage::kIncrement;
    std::size_t widest = 0;
    places.resize(map.arrays.size());
    std::vector<std::optional<crossbar::ProgrammedArray>> programmed(map.arrays.size());
    for_arrays(pool, map.arrays.size(), [&](std::size_t i) {
      const crossbar::ArrayPlan plan = array_plan(n, map, target.crossbar, i);
      programmed[i].emplace(plan, target, seed, static_cast<std::uint32_t>(i), backend);
      for (std::size_t c = 0; noise_shaped() && c < map.arrays[i].state_columns; ++c) {
        places[i].push_back(plan.ranges[c].step);
      }
    });
    for (std::size_t i = 0; i < map.arrays.size(); ++i) {
      arrays.push_back(std::move(*programmed[i]));
      widest = std::max(widest, map.arrays[i].rows);
    }
    encoder = map.of(mapping::Site::kEncoder);
    decoder = map.of(mapping::Site::kDecoder);
    encoder_bias = integer::floats(n.encoder.bias);
    encoder_codes = Conversion(n.encoder_codes, n.residual, bits, n.channels);
    for (std::size_t l = 0; l < n.blocks.size(); ++l) {
      const integer::IntegerBlock& b = n.blocks[l];
      // With a gate the residual sum has no converter: its products are computed digitally.
      const int sum_bits = n.gated ? 32 : bits;
      layers.push_back(
          {digital.block(l), map.of(mapping::Site::kRecurrence, l),
           map.of(mapping::Site::kLinear, l), integer::CodeEntries(b.activation_table),
           integer::CodeEntries(b.gate_table), integer::floats(b.linear_map.bias),
           Conversion(b.output, b.ssm_output, bits, b.shape.size(), n.residual, b.d),
           n.gated ? Conversion(b.linear_codes, b.linear, bits, n.linear_outputs()) : Conversion(),
           Conversion(b.sum, n.residual, sum_bits, n.channels, n.residual)});
    }
    const bool fitted = fits_increments(map, target.crossbar);
    const int missing = fitted ? 0 : missing_bits(state_format(n), bits);
    state_step.assign(widest, std::exp2(static_cast<float>(missing)));
    state_limit = std::floor(static_cast<float>(n.state_limit) / state_step[0]);
    ones.assign(widest, 1);
  }

  bool noise_shaped() const { return n.state_rounding == kernels::RoundingMode::kNoiseShaped; }

  // body(array) for every array. A backend takes them in order.
  void for_arrays(ThreadPool* pool, std::size_t count,
                  const std::function<void(std::size_t)>& body) const {
    if (pool != nullptr && backend == nullptr) {
      pool->parallel_for(count, [&](std::size_t i, int) { body(i); });
      return;
    }
    for (std::size_t i = 0; i < count; ++i) body(i);
  }

  // y = W x + bias over the tiles of a matrix; the converters of the first tiles add the bias.
  // `sequence` is the index in the data set of the sequence in lane 0.
  void matrix(const std::vector<std::size_t>& tiles, const AlignedFloats& bias,
              const integer::Stretch& t, std::uint32_t sequence, kernels::ConstRows x,
              kernels::Rows y, Work& w) const {
    for (const std::size_t i : tiles) {
      const mapping::MappedArray& tile = mapping->arrays[i];
      const kernels::ConstRows in(x.row(tile.first_input), x.stride);
      const kernels::Rows out{y.row(tile.first_output), y.stride};
      const bool first = tile.first_input == 0;
      const kernels::Rows to = first ? out : model::take(w.partial, tile.columns, t.columns());
      arrays[i].multiply(0, tile.columns, t.steps, in, to, sequence,
                         static_cast<std::uint32_t>(t.start), w.read,
                         first && !bias.empty() ? bias.data() + tile.first_output : nullptr,
                         w.seen_by(i), w.weights_of(i));
      if (!first) kernels::accumulate(nullptr, tile.columns, t.columns(), to, out);
    }
  }

  // Runs one recurrent array over a range of time steps: two products per step, with states fed
  // back as codes. Adds the contribution of each piece to C x.
  void recurrence(std::size_t number, const integer::Stretch& t, std::uint32_t sequence,
                  kernels::ConstRows u, kernels::Rows y, Work& w) const {
    const mapping::MappedArray& a = mapping->arrays[number];
    const crossbar::ProgrammedArray& array = arrays[number];
    const std::size_t pieces = a.pieces.size(), inputs = a.input_rows;
    float* rows = w.rows[number].data();
    const kernels::Rows in{rows, kLanes}, states{rows + inputs * kLanes, kLanes};
    const kernels::Rows out = model::take(w.columns, a.columns, kLanes);
    for (std::size_t k = 0; k < t.steps; ++k) {
      const auto step = static_cast<std::uint32_t>(t.start + k);
      if (a.state_columns == 0) {
        advance(a, step, k, u, states, w);
      } else {
        for (std::size_t i = 0; i < pieces; ++i) {
          std::copy_n(u.row(a.pieces[i].channel) + k * kLanes, kLanes, in.row(i));
        }
        array.multiply(0, a.states, 1, in, out, sequence, step, w.read, nullptr, w.seen_by(number),
                       w.weights_of(number));
        if (incremental) kernels::accumulate(nullptr, a.states, kLanes, states, out);
        if (noise_shaped()) {
          add_to_register(number, a.states, out, states, w);
        } else {
          kernels::fake_quantize_forward(state_step.data(), -state_limit, state_limit, a.states,
                                         kLanes, out, states);
        }
      }
      if (a.output_columns == 0) {
        add_outputs(a, states, k, y);
      } else {
        std::fill_n(in.data, inputs * kLanes, 0.0f);
        array.multiply(a.state_columns, pieces, 1, in, out, sequence, step, w.read, nullptr,
                       w.seen_by(number), w.weights_of(number));
        for (std::size_t i = 0; i < pieces; ++i) {
          float* to = y.row(a.pieces[i].channel) + k * kLanes;
          for (std::size_t lane = 0; lane < kLanes; ++lane) to[lane] += out.row(i)[lane];
        }
      }
      if (w.path != nullptr) keep_path(a, step, states, w.path);
    }
  }

  // The digital recurrence of modes first .. first + count - 1 of a block, for `steps` from `step`
  // on: carries their states along and adds C x to y.
  void scan(std::size_t l, std::size_t first, std::size_t count, std::size_t step,
            std::size_t steps, const float* u, float* y, Work& w) const {
    const integer::LaneBlock& b = lanes.blocks[l];
    const kernels::ScanModes modes{count,
                                   b.ar.data() + first,
                                   n.complex ? b.ai.data() + first : nullptr,
                                   b.b.data() + first,
                                   b.cr.data() + first,
                                   n.complex ? b.ci.data() + first : nullptr};
    const kernels::DrawAddress draws{lanes.seeds.data(),
                                     static_cast<std::uint32_t>(b.first_mode + first),
                                     static_cast<std::uint32_t>(step)};
    kernels::StateRounding rounding{static_cast<float>(n.state_limit), n.state_rounding, draws};
    const std::vector<std::uint8_t>& residues = n.blocks[l].residue_bits;
    if (!residues.empty()) rounding.residue_bits = residues.data() + first;
    kernels::scan_forward(modes, rounding, steps, u, y,
                          w.states[l].data() + first * lanes.state_size);
  }

  // The states [2][16] of mode `m` of those that scan() runs from mode `first` of a block on.
  const float* state_of(std::size_t l, std::size_t first, std::size_t m, const Work& w) const {
    return w.states[l].data() + first * lanes.state_size + m * 2 * kLanes;
  }

  std::size_t parts() const { return n.complex ? 2 : 1; }

  // Computes the next states of an array that holds only C, and drives its rows with them. `k`: the
  // step among those of u.
  void advance(const mapping::MappedArray& a, std::size_t step, std::size_t k, kernels::ConstRows u,
               kernels::Rows states, Work& w) const {
    w.unused.resize(kLanes);
    for (const mapping::Piece& p : a.pieces) {
      const std::size_t first = n.blocks[a.layer].shape.first[p.channel] + p.first_mode;
      scan(a.layer, first, p.modes, step, 1, u.row(p.channel) + k * kLanes, w.unused.data(), w);
      for (std::size_t m = 0; m < p.modes; ++m) {
        std::copy_n(state_of(a.layer, first, m, w), parts() * kLanes,
                    states.row(p.state + m * parts()));
      }
    }
  }

  // Adds C x of the states of an array to y, in step k of y.
  void add_outputs(const mapping::MappedArray& a, kernels::ConstRows states, std::size_t k,
                   kernels::Rows y) const {
    const integer::LaneBlock& b = lanes.blocks[a.layer];
    for (const mapping::Piece& p : a.pieces) {
      const std::size_t first = n.blocks[a.layer].shape.first[p.channel] + p.first_mode;
      float* const to = y.row(p.channel) + k * kLanes;
      for (std::size_t m = 0; m < p.modes; ++m) {
        const float* const x = states.row(p.state + m * parts());
        const float cr = b.cr[first + m], ci = n.complex ? b.ci[first + m] : 0;
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          to[lane] += cr * x[lane] - (n.complex ? ci * x[kLanes + lane] : 0.0f);
        }
      }
    }
  }

  // A block whose recurrence is digital.
  void digital_recurrence(std::size_t l, const integer::Stretch& t, kernels::ConstRows u,
                          kernels::Rows y, Work& w) const {
    const model::BlockShape& shape = n.blocks[l].shape;
    const std::size_t at_once = w.path == nullptr ? t.steps : 1;
    for (std::size_t k = 0; k < t.steps; k += at_once) {
      for (std::size_t s = 0; s < shape.size(); ++s) {
        const std::size_t first = shape.first[s];
        scan(l, first, shape.modes(s), t.start + k, at_once, u.row(s) + k * kLanes,
             y.row(s) + k * kLanes, w);
        for (std::size_t m = 0; w.path != nullptr && m < shape.modes(s); ++m) {
          float* const to =
              w.path + (t.start + k) * path_step() + 2 * (n.first_mode(l) + first + m);
          for (std::size_t i = 0; i < parts(); ++i) to[i] = state_of(l, first, m, w)[i * kLanes];
        }
      }
    }
  }

  // Rounds the sums of the states, which include the previous states, and the residues to the last
  // place of their registers. The rows are driven by the nearest integers.
  void add_to_register(std::size_t number, std::size_t states, kernels::Rows sums,
                       kernels::Rows codes, Work& w) const {
    constexpr float kAny = 0x1p60f;
    const auto limit = static_cast<float>(n.state_limit);
    const kernels::Rows residues{w.residues[number].data(), kLanes};
    kernels::accumulate(nullptr, states, kLanes, residues, sums);
    kernels::fake_quantize_forward(places[number].data(), -kAny, kAny, states, kLanes, sums, sums);
    kernels::fake_quantize_forward(ones.data(), -limit, limit, states, kLanes, sums, codes);
    for (std::size_t i = 0; i < states * kLanes; ++i) {
      // Only the residue of a saturated state exceeds half a step.
      const float rest = sums.data[i] - codes.data[i];
      residues.data[i] = rest >= -0.5f && rest < 0.5f ? rest : 0.0f;
    }
  }

  std::size_t path_step() const { return 2 * n.first_mode(n.blocks.size()); }

  // States of lane 0.
  void keep_path(const mapping::MappedArray& a, std::size_t step, kernels::Rows states,
                 float* path) const {
    for (const mapping::Piece& p : a.pieces) {
      const std::size_t mode =
          n.first_mode(a.layer) + n.blocks[a.layer].shape.first[p.channel] + p.first_mode;
      float* to = path + step * path_step() + 2 * mode;
      for (std::size_t i = 0; i < p.modes * parts(); ++i) {
        to[n.complex ? i : 2 * i] = states.row(p.state + i)[0];
      }
    }
  }

  // The sites of CodePanels for one group of sequences. Digital sites have exact requantizers
  // instead of converters.
  struct Sites {
    const Inside& in;
    std::uint32_t sequence;
    Work& w;
    const integer::LaneSites& exact;  // its states are not used

    void encode(const integer::Stretch& t, kernels::ConstRows x, kernels::Rows sums) const {
      if (in.digital.encoder()) return exact.encode(t, x, sums);
      in.matrix(in.encoder, in.encoder_bias, t, sequence, x, sums, w);
    }
    void enter(std::size_t columns, kernels::Rows h) const {
      if (in.digital.encoder()) return exact.enter(columns, h);
      in.encoder_codes(in.n.channels, columns, h, h, h);
    }
    void recur(std::size_t l, const integer::Stretch& t, kernels::ConstRows u,
               kernels::Rows y) const {
      if (in.layers[l].digital.recurrence()) return in.digital_recurrence(l, t, u, y, w);
      for (const std::size_t i : in.layers[l].recurrence) in.recurrence(i, t, sequence, u, y, w);
    }
    void activate(std::size_t l, std::size_t columns, kernels::Rows y, kernels::ConstRows u) const {
      const Layer& layer = in.layers[l];
      if (layer.digital.outputs) return exact.activate(l, columns, y, u);
      layer.output(in.n.blocks[l].shape.size(), columns, y, u, y, layer.activation);
    }
    void linear(std::size_t l, const integer::Stretch& t, kernels::ConstRows a,
                kernels::Rows z) const {
      if (in.layers[l].digital.pointwise) return exact.linear(l, t, a, z);
      in.matrix(in.layers[l].linear, in.layers[l].bias, t, sequence, a, z, w);
    }
    void linear_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
      if (in.layers[l].digital.pointwise) return exact.linear_codes(l, columns, z);
      in.layers[l].linear_codes(in.n.channels, columns, z, z, z);
    }
    void gate_codes(std::size_t l, std::size_t columns, kernels::Rows z) const {
      const Layer& layer = in.layers[l];
      if (layer.digital.pointwise) return exact.gate_codes(l, columns, z);
      layer.linear_codes(in.n.channels, columns, z, z, z, layer.gate, in.n.channels);
    }
    void add_residual(std::size_t l, std::size_t columns, kernels::ConstRows z,
                      kernels::Rows h) const {
      if (in.layers[l].digital.pointwise) return exact.add_residual(l, columns, z, h);
      in.layers[l].sum(in.n.channels, columns, z, h, h);
    }
  };

  // Products of the decoder with the integers value(channel, column), applied in slices of the
  // DACs' bits: calls add(weights of the slice [columns], [outputs][columns]) for each slice. The
  // values of a column are first shifted to the left until the largest one uses the upper slice:
  // else that slice, which counts most, would drive small codes, and its noise would dominate the
  // scores. The reads of consecutive slices are addressed `apart` steps later, so that no draw of
  // the decoder is reused.
  template <class Value, class Add>
  void decode(integer::Stretch t, std::size_t apart, std::uint32_t sequence, Work& w,
              const Value& value, const Add& add) const {
    const int bits = mapping->decoder_bits - 1;
    const int all_bits = bits * static_cast<int>(mapping->decoder_slices);
    const kernels::Rows slice = model::take(w.panels.y, n.channels, t.columns()),
                        part = model::take(w.panels.z, n.outputs, t.columns());
    std::vector<int> raised(t.columns());
    for (std::size_t c = 0; c < t.columns(); ++c) {
      std::uint64_t any = 0;
      for (std::size_t r = 0; r < n.channels; ++r) {
        any |= static_cast<std::uint64_t>(std::abs(value(r, c)));
      }
      raised[c] = any == 0 ? 0 : all_bits - static_cast<int>(std::bit_width(any));
    }
    std::vector<double> weights(t.columns());
    for (std::size_t k = 0; k < mapping->decoder_slices; ++k, t.start += apart) {
      const int shift = static_cast<int>(k) * bits;
      for (std::size_t c = 0; c < t.columns(); ++c) {
        weights[c] = std::ldexp(1.0, shift - raised[c]);
        for (std::size_t r = 0; r < n.channels; ++r) {
          const std::int64_t sum = value(r, c);
          const auto part_of = static_cast<float>(((std::abs(sum) << raised[c]) >> shift) &
                                                  ((std::int64_t{1} << bits) - 1));
          slice.row(r)[c] = sum < 0 ? -part_of : part_of;
        }
      }
      matrix(decoder, {}, t, sequence, slice, part, w);
      add(weights, part);
    }
  }

  // Products of a digital decoder: calls add(output, column, sum).
  template <class Value, class Add>
  void decode_exactly(std::size_t columns, const Value& value, const Add& add) const {
    for (std::size_t k = 0; k < n.outputs; ++k) {
      for (std::size_t c = 0; c < columns; ++c) {
        std::int64_t sum = 0;
        for (std::size_t r = 0; r < n.channels; ++r) {
          sum += n.decoder.weight[k * n.channels + r] * value(r, c);
        }
        add(k, c, static_cast<double>(sum));
      }
    }
  }

  // Scores from the sums of `count` steps of a lane, [outputs][16].
  void to_scores(std::int64_t count, double* sums) const {
    const std::int32_t early = n.early_score_shift(count);
    for (std::size_t k = 0; k < n.outputs; ++k) {
      double& score = sums[k * kLanes];
      score += static_cast<double>(count) * static_cast<double>(n.decoder.bias[k]);
      if (early > 0) score = std::floor(std::ldexp(score, -early) + 0.5);
      score *= n.scores.first[k];
    }
  }

  // Scores [outputs][16] of whole sequences, addressed as reads after the last time step.
  void decode_pooled(std::uint32_t sequence, std::size_t length, const std::uint32_t* lengths,
                     Work& w, double* scores) const {
    const auto pooled = [&](std::size_t r, std::size_t c) {
      return w.panels.pooled[r * kLanes + c];
    };
    if (digital.decoder()) {
      decode_exactly(kLanes, pooled, [&](std::size_t k, std::size_t c, double sum) {
        scores[k * kLanes + c] += sum;
      });
    } else {
      decode({length, 1}, 1, sequence, w, pooled,
             [&](const std::vector<double>& weights, kernels::Rows part) {
               for (std::size_t i = 0; i < n.outputs * kLanes; ++i) {
                 scores[i] += weights[i % kLanes] * part.data[i];
               }
             });
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      to_scores(n.pool_last ? 1 : lengths[lane], scores + lane);
    }
  }

  // Scores [steps][outputs][16] for the steps of a range, from the codes h of the stream.
  void decode_steps(std::uint32_t sequence, const integer::Stretch& t, kernels::ConstRows h,
                    Work& w, double* scores) const {
    constexpr std::size_t kBehindAllSteps = std::size_t{1} << 26;
    const auto code = [&](std::size_t r, std::size_t c) {
      return static_cast<std::int64_t>(h.row(r)[c]);
    };
    const auto add = [&](std::size_t k, std::size_t c, double sum) {
      scores[(c / kLanes * n.outputs + k) * kLanes + c % kLanes] += sum;
    };
    if (digital.decoder()) {
      decode_exactly(t.columns(), code, add);
    } else {
      decode(t, kBehindAllSteps, sequence, w, code,
             [&](const std::vector<double>& weights, kernels::Rows part) {
               for (std::size_t k = 0; k < n.outputs; ++k) {
                 for (std::size_t c = 0; c < t.columns(); ++c) {
                   add(k, c, weights[c] * part.row(k)[c]);
                 }
               }
             });
    }
    for (std::size_t step = 0; step < t.steps; ++step) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        to_scores(1, scores + step * n.outputs * kLanes + lane);
      }
    }
  }

  // Number of doubles of the scores of a group: [outputs][16], times the steps if every step is
  // read.
  std::size_t scores_of(const data::Batch& batch) const {
    return (n.every_step ? batch.length : 1) * n.outputs * kLanes;
  }

  // Scores of one group of 16 sequences, initially zero.
  void run_group(const data::Batch& batch, std::size_t group, std::uint32_t sequence, Work& w,
                 double* scores) const {
    w.rows.resize(arrays.size());
    w.residues.resize(arrays.size());
    w.weights.resize(arrays.size());
    w.states.resize(layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const std::size_t modes = layers[l].digital.states ? n.blocks[l].shape.modes() : 0;
      w.states[l].assign(modes * lanes.state_size, 0);
    }
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (arrays[i].flickers()) arrays[i].draw_weights(sequence, w.weights[i], w.read);
      if (mapping->arrays[i].site == mapping::Site::kRecurrence) {
        w.rows[i].assign(mapping->arrays[i].rows * kLanes, 0);
        w.residues[i].assign(places[i].size() * kLanes, 0);
      }
    }
    const integer::LaneSites exact(lanes, w.lane_states);
    Sites sites{*this, sequence, w, exact};
    integer::run_codes(n, batch, group, sites, w.panels,
                       [&](const integer::Stretch& t, kernels::ConstRows h) {
                         decode_steps(sequence, t, h, w, scores + t.start * n.outputs * kLanes);
                       });
    if (n.every_step) return;
    decode_pooled(sequence, batch.length, batch.lengths.data() + group * kLanes, w, scores);
  }

  void check(const data::Batch& batch) const {
    if (batch.channels != n.inputs) {
      fail("batch", std::to_string(batch.channels) + " channels, but the network has " +
                        std::to_string(n.inputs) + " inputs");
    }
    if (digital.decoder() || n.every_step || n.pool_last) return;
    // The slices of pooled values are those of the longest sequence for which the chip was mapped.
    const auto largest = static_cast<std::uint64_t>(integer::largest_magnitude(n.residual));
    const int bits = (mapping->decoder_bits - 1) * static_cast<int>(mapping->decoder_slices);
    if (bits < 63 && largest * batch.length >= std::uint64_t{1} << bits) {
      fail("batch", std::to_string(batch.length) +
                        " time steps, but the network was mapped for at most " +
                        std::to_string(((std::uint64_t{1} << bits) - 1) / largest));
    }
  }
};

std::vector<float> ChipResult::logits() const {
  std::vector<float> out;
  for (const double score : scores) {
    out.push_back(static_cast<float>(std::ldexp(score, -shift) / static_cast<double>(count)));
  }
  return out;
}

std::size_t ChipResult::best() const {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

Chip::Chip(const integer::IntegerNetwork& network, const mapping::Mapping& mapping,
           const crossbar::Target& target, std::uint64_t seed, std::uint32_t number,
           hardware::Backend* backend, ThreadPool* pool)
    : inside_(std::make_unique<Inside>(network, mapping, target, chip_seed(seed, number), backend,
                                       pool)) {}
Chip::~Chip() = default;
Chip::Chip(Chip&&) noexcept = default;
Chip& Chip::operator=(Chip&&) noexcept = default;

const std::vector<crossbar::ProgrammedArray>& Chip::arrays() const { return inside_->arrays; }

void Chip::age_to(double seconds, ThreadPool* pool) {
  Inside& in = *inside_;
  if (in.backend != nullptr) in.backend->age_to(seconds);
  in.for_arrays(pool, in.arrays.size(), [&](std::size_t i) {
    if (in.backend == nullptr) in.arrays[i].age_to(seconds);
    in.arrays[i].compensate();
  });
}

void Chip::calibrate(const data::Batch& batch) {
  Inside& in = *inside_;
  in.check(batch);
  Work w;
  for (const crossbar::ProgrammedArray& array : in.arrays)
    w.seen.emplace_back(array.columns(), 0.0f);
  std::vector<double> scores;
  for (std::size_t g = 0; g < batch.groups; ++g) {
    scores.assign(in.scores_of(batch), 0);
    in.run_group(batch, g, static_cast<std::uint32_t>(g * kLanes), w, scores.data());
  }
  for (std::size_t i = 0; i < in.arrays.size(); ++i) in.arrays[i].calibrate(w.seen[i]);
}

std::vector<ChipResult> Chip::run(const data::Batch& batch, std::uint32_t sequence,
                                  ThreadPool& pool, const std::function<bool()>& stop) const {
  const Inside& in = *inside_;
  in.check(batch);
  const std::size_t outputs = in.n.outputs, of_group = in.scores_of(batch);
  std::vector<Work> work(static_cast<std::size_t>(pool.size()));
  std::vector<double> scores(batch.groups * of_group, 0);
  struct Stopped {};
  try {
    pool.parallel_for(batch.groups, [&](std::size_t g, int worker) {
      if (stop && stop()) throw Stopped();
      in.run_group(batch, g, sequence + static_cast<std::uint32_t>(g * kLanes),
                   work[static_cast<std::size_t>(worker)], scores.data() + g * of_group);
    });
  } catch (const Stopped&) {
    return {};
  }
  const std::vector<std::size_t> first = data::first_reads(batch, in.n.scope());
  std::vector<ChipResult> results(first.back());
  for (std::size_t i = 0; i < batch.count; ++i) {
    const double* of = scores.data() + i / kLanes * of_group + i % kLanes;
    for (std::size_t row = first[i]; row < first[i + 1]; ++row) {
      ChipResult& r = results[row];
      r.count = in.n.pool_last ? 1 : batch.lengths[i];
      r.shift = in.n.scores.shift[0] - in.n.early_score_shift(r.count);
      for (std::size_t k = 0; k < outputs; ++k, of += kLanes) r.scores.push_back(*of);
    }
  }
  return results;
}

std::vector<float> Chip::state_path(const data::Batch& batch, std::uint32_t sequence) const {
  const Inside& in = *inside_;
  in.check(batch);
  std::vector<float> path(batch.length * in.path_step(), 0.0f);
  std::vector<double> scores(in.scores_of(batch), 0);
  Work w;
  w.path = path.data();
  in.run_group(batch, 0, sequence, w, scores.data());
  path.resize(batch.lengths[0] * in.path_step());
  return path;
}

formats::Safetensors Chip::save() const {
  formats::Safetensors file;
  file.metadata["format"] = kFormat.text();
  file.metadata["seed"] = std::to_string(inside_->seed);
  for (std::size_t i = 0; i < inside_->arrays.size(); ++i) {
    const std::vector<device::Cells>& copies = inside_->arrays[i].copies();
    for (std::size_t k = 0; k < copies.size(); ++k) {
      const std::string prefix = prefix_of(i, k);
      const formats::Safetensors cells = copies[k].save();
      for (const auto& [name, tensor] : cells.tensors) file.tensors[prefix + name] = tensor;
      for (const auto& [key, text] : cells.metadata) file.metadata[prefix + key] = text;
    }
  }
  return file;
}

void Chip::restore(const formats::Safetensors& content, const std::string& where) {
  const auto text = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  if (text("format").empty()) fail(where, "not a chip, expected a file written by deploy --out");
  kFormat.version_of(text("format"), where);
  if (text("seed") != std::to_string(inside_->seed)) {
    fail(where, "a chip of another seed or number, expected those of the saved chip");
  }
  for (std::size_t i = 0; i < inside_->arrays.size(); ++i) {
    std::vector<device::Cells> copies;
    for (std::size_t k = 0; k < inside_->arrays[i].copies().size(); ++k) {
      const std::string prefix = prefix_of(i, k);
      formats::Safetensors cells;
      for (auto at = content.tensors.lower_bound(prefix);
           at != content.tensors.end() && at->first.starts_with(prefix); ++at) {
        cells.tensors[at->first.substr(prefix.size())] = at->second;
      }
      for (auto at = content.metadata.lower_bound(prefix);
           at != content.metadata.end() && at->first.starts_with(prefix); ++at) {
        cells.metadata[at->first.substr(prefix.size())] = at->second;
      }
      copies.push_back(device::Cells::load(cells, where));
    }
    inside_->arrays[i].restore(std::move(copies), where);
    inside_->arrays[i].compensate();
  }
  formats::refuse_unknown(content, save(), where);
}

}  // namespace crosstate::simulate
