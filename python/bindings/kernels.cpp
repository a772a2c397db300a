// crosstate/kernels and crosstate/quant, on arrays in memory of the caller: the scan and its
// adjoint for any strides, and the quantization of poles and weights.
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>

#include "crosstate/base/error.h"
#include "crosstate/base/named.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/quant/poles.h"
#include "crosstate/quant/weights.h"
#include "python/bindings/panels.h"
#include "python/bindings/workers.h"

namespace crosstate::python {
namespace {

template <class T>
using Changed = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using Maybe = std::optional<T>;

constexpr std::array kRoundings{Named{"nearest", kernels::RoundingMode::kNearest},
                                Named{"stochastic", kernels::RoundingMode::kStochastic},
                                Named{"noise-shaped", kernels::RoundingMode::kNoiseShaped}};

// --- the scan

/// What forward and adjoint have in common. Coefficients are [channels, modes].
struct Scan {
  Signal u;
  In<float> ar;
  Maybe<In<float>> ai, b;
  In<float> cr;
  Maybe<In<float>> ci, d;
  float limit = 0;
  kernels::RoundingMode mode = kernels::RoundingMode::kNearest;
  Maybe<In<std::uint8_t>> residue_bits;
  Maybe<In<float>> spread;        // [channels, modes, 2]
  Maybe<In<std::int32_t>> seeds;  // [batch]
  std::uint32_t first_step = 0;
  std::size_t block = 32;  // steps between kept states

  std::size_t batch() const { return u.shape(0); }
  std::size_t channels() const { return u.shape(1); }
  std::size_t steps() const { return u.shape(2); }
  std::size_t modes() const { return ar.shape(1); }
  std::size_t groups() const { return groups_of(u); }
  std::size_t lanes(std::size_t group) const { return lanes_of(batch(), group); }
  std::size_t blocks() const { return (steps() + block - 1) / block; }
  bool shaped() const { return limit > 0 && mode == kernels::RoundingMode::kNoiseShaped; }
  /// Parts of a state: real, imaginary, and their residues.
  std::size_t parts() const { return shaped() ? 4 : 2; }
  /// Floats of the states of one channel of a group.
  std::size_t state_size() const {
    return modes() * kernels::scan_state_size(1, shaped() ? kernels::RoundingMode::kNoiseShaped
                                                          : kernels::RoundingMode::kNearest);
  }

  kernels::ScanModes modes_of(std::size_t h) const {
    const std::size_t at = h * modes();
    const auto part = [at](const Maybe<In<float>>& array) {
      return array ? array->data() + at : nullptr;
    };
    return {modes(), ar.data() + at, part(ai), part(b), cr.data() + at, part(ci)};
  }
  kernels::StateRounding rounding_of(std::size_t h, const std::uint32_t* of_lanes,
                                     std::size_t step) const {
    const std::size_t at = h * modes();
    kernels::StateRounding rounding{limit, mode, {}};
    rounding.draws = {of_lanes, static_cast<std::uint32_t>(at),
                      first_step + static_cast<std::uint32_t>(step)};
    if (spread) rounding.spread = spread->data() + 2 * at;
    if (residue_bits) rounding.residue_bits = residue_bits->data() + at;
    return rounding;
  }
  void seeds_of(std::size_t group, std::uint32_t* of_lanes) const {
    std::fill_n(of_lanes, kLanes, kernels::kDeployedSeed);
    for (std::size_t i = 0; seeds && i < lanes(group); ++i) {
      of_lanes[i] = static_cast<std::uint32_t>(seeds->data()[group * kLanes + i]);
    }
  }
};

void require_shape(bool fits, const char* what, const std::string& expected) {
  if (!fits) throw Error(std::string("scan: ") + what + " has another shape than " + expected);
}

template <class Array>
bool has_shape(const Array& array, std::initializer_list<std::size_t> shape) {
  if (array.ndim() != shape.size()) return false;
  std::size_t i = 0;
  for (const std::size_t size : shape) {
    if (array.shape(i++) != size) return false;
  }
  return true;
}

void check(const Scan& s) {
  const std::size_t H = s.channels();
  require_shape(s.ar.ndim() == 2 && s.ar.shape(0) == H, "A", "[channels, modes]");
  const std::size_t N = s.modes();
  const auto of_modes = [&](const Maybe<In<float>>& array, const char* what) {
    require_shape(!array || has_shape(*array, {H, N}), what, "[channels, modes]");
  };
  of_modes(s.ai, "the imaginary part of A");
  of_modes(s.b, "the gain");
  of_modes(s.cr, "C");
  of_modes(s.ci, "the imaginary part of C");
  require_shape(s.ai.has_value() == s.ci.has_value(), "C", "A, which is complex or real as C is");
  require_shape(!s.d || has_shape(*s.d, {H}), "D", "[channels]");
  require_shape(!s.spread || has_shape(*s.spread, {H, N, 2}), "spread", "[channels, modes, 2]");
  require_shape(!s.seeds || has_shape(*s.seeds, {s.batch()}), "seeds", "[batch]");
  require_shape(!s.residue_bits || has_shape(*s.residue_bits, {H, N}), "residue_bits",
                "[channels, modes]");
  if (s.shaped() && !s.residue_bits) throw Error("scan: a noise-shaped state has residue bits");
  if (s.limit < 0 || s.limit != std::floor(s.limit)) {
    throw Error("scan: the largest code of a state is a positive integer");
  }
}

// States of a channel of a group: [batch, channels, modes, parts] of the caller, [part pair][mode]
// [real, imaginary][lane] of the kernel.
template <class T, class Move>
void visit_states(T* states, const Scan& s, std::size_t group, std::size_t h, std::size_t parts,
                  const Move& move) {
  const std::size_t N = s.modes();
  for (std::size_t i = 0; i < s.lanes(group); ++i) {
    T* const from = states + ((group * kLanes + i) * s.channels() + h) * N * parts;
    for (std::size_t n = 0; n < N; ++n) {
      for (std::size_t p = 0; p < parts; ++p) {
        move(from[n * parts + p], ((p / 2 * N + n) * 2 + p % 2) * kLanes + i);
      }
    }
  }
}

// Channels that are processed together: if the values of a step are neighbours in memory, as many
// as a cache line holds.
std::size_t tile_of(const Scan& s, int thread_count) {
  std::size_t tile = s.u.stride(2) == 1 ? 1 : kLanes;
  const auto threads = static_cast<std::size_t>(thread_count);
  while (tile > 4 && s.groups() * ((s.channels() + tile - 1) / tile) < threads) tile /= 2;
  return tile;
}

// body(group, first channel, number of channels), in parallel. Backwards, the values that were
// written last are still in the cache.
template <class Body>
void for_tiles(const Scan& s, int threads, const Body& body, bool backwards = false) {
  const std::size_t tile = tile_of(s, threads), tiles = (s.channels() + tile - 1) / tile;
  const std::size_t items = s.groups() * tiles;
  parallel_for(threads, items, [&](std::size_t number) {
    const std::size_t item = backwards ? items - 1 - number : number;
    const std::size_t first = item % tiles * tile;
    body(item / tiles, first, std::min(tile, s.channels() - first));
  });
}

void scan_forward(const Scan& s, const SignalOut& y, const Maybe<In<float>>& start,
                  const Maybe<Changed<float>>& end, const Maybe<Changed<float>>& kept,
                  int threads) {
  check(s);
  const std::size_t H = s.channels(), N = s.modes(), L = s.steps(), parts = s.parts();
  require_shape(has_shape(y, {s.batch(), H, L}), "y", "[batch, channels, steps]");
  require_shape(!start || has_shape(*start, {s.batch(), H, N, parts}), "the first state",
                "[batch, channels, modes, parts]");
  require_shape(!end || has_shape(*end, {s.batch(), H, N, parts}), "the last state",
                "[batch, channels, modes, parts]");
  require_shape(!kept || has_shape(*kept, {s.groups(), H, s.blocks(), s.state_size()}),
                "the kept states", "[groups, channels, blocks, values]");
  const nb::gil_scoped_release release;
  for_tiles(s, threads, [&](std::size_t g, std::size_t first, std::size_t count) {
    const std::size_t size = s.state_size();
    AlignedFloats u, out, states(count * size, 0);
    std::uint32_t seeds[kLanes];
    s.seeds_of(g, seeds);
    for (std::size_t c = 0; start && c < count; ++c) {
      visit_states(start->data(), s, g, first + c, parts,
                   [&](const float& x, std::size_t at) { states[c * size + at] = x; });
    }
    for (std::size_t k = 0; k < s.blocks(); ++k) {
      const std::size_t t = k * s.block, steps = std::min(s.block, L - t);
      u.resize(count * steps * kLanes);
      out.resize(u.size());
      pack(s.u, g, first, count, t, steps, u.data());
      for (std::size_t c = 0; c < count; ++c) {
        const std::size_t h = first + c, at = c * steps * kLanes;
        float* const state = states.data() + c * size;
        if (kept) {
          std::copy_n(state, size, kept->data() + ((g * H + h) * s.blocks() + k) * size);
        }
        const kernels::Rows row{out.data() + at, steps * kLanes};
        if (s.d) {
          kernels::affine_forward(s.d->data() + h, nullptr, 1, steps * kLanes,
                                  {u.data() + at, steps * kLanes}, row);
        } else {
          std::fill_n(row.data, row.stride, 0.0f);
        }
        kernels::scan_forward(s.modes_of(h), s.rounding_of(h, seeds, t), steps, u.data() + at,
                              row.data, state);
      }
      unpack(out.data(), g, first, count, t, steps, y);
    }
    for (std::size_t c = 0; end && c < count; ++c) {
      visit_states(end->data(), s, g, first + c, parts,
                   [&](float& x, std::size_t at) { x = states[c * size + at]; });
    }
  });
}

// gradients: sums over batch and time, [5, channels, modes] of ar, ai, b, cr, ci; gd: [channels].
void scan_adjoint(const Scan& s, const Signal& gy, const In<float>& kept,
                  const Maybe<In<float>>& gend, const SignalOut& gu,
                  const Maybe<Changed<float>>& gstart, const Changed<double>& gradients,
                  const Maybe<Changed<double>>& gd, int threads) {
  check(s);
  const std::size_t H = s.channels(), N = s.modes(), L = s.steps(), parts = s.parts();
  require_shape(has_shape(gy, {s.batch(), H, L}), "the gradient of y", "y");
  require_shape(has_shape(gu, {s.batch(), H, L}), "the gradient of u", "u");
  require_shape(has_shape(gradients, {5, H, N}), "gradients", "[5, channels, modes]");
  require_shape(!gd || has_shape(*gd, {H}), "the gradient of D", "[channels]");
  require_shape(has_shape(kept, {s.groups(), H, s.blocks(), s.state_size()}), "the kept states",
                "[groups, channels, blocks, values]");
  require_shape(!gend || has_shape(*gend, {s.batch(), H, N, parts}),
                "the gradient of the last state", "[batch, channels, modes, parts]");
  require_shape(!gstart || has_shape(*gstart, {s.batch(), H, N, parts}),
                "the gradient of the first state", "[batch, channels, modes, parts]");
  const std::size_t values = H * N;
  // By group, so that sums are in the same order on any number of threads.
  std::vector<double> sums(s.groups() * (5 * values + H), 0);
  const nb::gil_scoped_release release;
  for_tiles(
      s, threads,
      [&](std::size_t g, std::size_t first, std::size_t count) {
        const std::size_t size = s.state_size();
        const std::size_t carried = N * kernels::scan_state_size(1);
        double* const of_group = sums.data() + g * (5 * values + H);
        AlignedFloats u, in, out, carry(count * carried, 0),
            scratch(kernels::kScanScratch * s.block), start(size);
        std::uint32_t seeds[kLanes];
        s.seeds_of(g, seeds);
        for (std::size_t c = 0; gend && c < count; ++c) {
          visit_states(gend->data(), s, g, first + c, parts, [&](const float& x, std::size_t at) {
            if (at < carried) carry[c * carried + at] = x;
          });
        }
        for (std::size_t k = s.blocks(); k-- > 0;) {
          const std::size_t t = k * s.block, steps = std::min(s.block, L - t);
          for (AlignedFloats* panel : {&u, &in, &out}) panel->resize(count * steps * kLanes);
          pack(s.u, g, first, count, t, steps, u.data());
          pack(gy, g, first, count, t, steps, in.data());
          for (std::size_t c = 0; c < count; ++c) {
            const std::size_t h = first + c, at = c * steps * kLanes, columns = steps * kLanes;
            const kernels::ConstRows g_in{in.data() + at, columns}, u_row{u.data() + at, columns};
            const kernels::Rows g_out{out.data() + at, columns};
            if (s.d) {
              double unused = 0;
              kernels::affine_forward(s.d->data() + h, nullptr, 1, columns, g_in, g_out);
              kernels::row_sums(1, columns, nullptr, g_in, u_row, &unused,
                                of_group + 5 * values + h);
            } else {
              std::fill_n(g_out.data, columns, 0.0f);
            }
            std::copy_n(kept.data() + ((g * H + h) * s.blocks() + k) * size, size, start.data());
            double* const sum = of_group + h * N;
            kernels::scan_adjoint(s.modes_of(h), s.rounding_of(h, seeds, t), steps, u_row.data,
                                  start.data(), g_in.data, g_out.data, carry.data() + c * carried,
                                  {sum, sum + values, s.b ? sum + 2 * values : nullptr,
                                   sum + 3 * values, sum + 4 * values},
                                  scratch.data());
          }
          unpack(out.data(), g, first, count, t, steps, gu);
        }
        for (std::size_t c = 0; gstart && c < count; ++c) {
          visit_states(gstart->data(), s, g, first + c, parts, [&](float& x, std::size_t at) {
            x = at < carried ? carry[c * carried + at] : 0.0f;
          });
        }
      },
      true);
  std::fill_n(gradients.data(), 5 * values, 0.0);
  for (std::size_t g = 0; g < s.groups(); ++g) {
    const double* const of_group = sums.data() + g * (5 * values + H);
    for (std::size_t i = 0; i < 5 * values; ++i) gradients.data()[i] += of_group[i];
    for (std::size_t h = 0; gd && h < H; ++h) gd->data()[h] += of_group[5 * values + h];
  }
}

// The largest magnitude of a part of the state of every mode, without rounding: [channels, modes].
void scan_peaks(const Scan& s, const Changed<float>& peaks, int threads) {
  check(s);
  const std::size_t H = s.channels(), N = s.modes(), L = s.steps();
  require_shape(has_shape(peaks, {H, N}), "peaks", "[channels, modes]");
  if (s.limit != 0) throw Error("scan: peaks are those of a state that is not rounded");
  const nb::gil_scoped_release release;
  std::vector<float> found(s.groups() * H * N, 0);
  for_tiles(s, threads, [&](std::size_t g, std::size_t first, std::size_t count) {
    const std::size_t size = s.state_size();
    AlignedFloats u, y(kLanes), states(count * size, 0);
    for (std::size_t k = 0; k < s.blocks(); ++k) {
      const std::size_t start = k * s.block, steps = std::min(s.block, L - start);
      u.resize(count * steps * kLanes);
      pack(s.u, g, first, count, start, steps, u.data());
      for (std::size_t c = 0; c < count; ++c) {
        float* const state = states.data() + c * size;
        float* const largest = found.data() + (g * H + first + c) * N;
        for (std::size_t t = 0; t < steps; ++t) {
          kernels::scan_forward(s.modes_of(first + c), {}, 1, u.data() + (c * steps + t) * kLanes,
                                y.data(), state);
          for (std::size_t i = 0; i < size; ++i) {
            float& peak = largest[i / (2 * kLanes)];
            peak = std::max(peak, std::abs(state[i]));
          }
        }
      }
    }
  });
  std::fill_n(peaks.data(), H * N, 0.0f);
  for (std::size_t g = 0; g < s.groups(); ++g) {
    for (std::size_t i = 0; i < H * N; ++i) {
      peaks.data()[i] = std::max(peaks.data()[i], found[g * H * N + i]);
    }
  }
}

// --- quantization

// Quantizes the poles of every channel, [channels, modes], in place.
void quantize_poles(const Changed<float>& re, const Changed<float>& im, int bits,
                    const std::string& coding) {
  require_shape(re.ndim() == 2 && im.ndim() == 2 && re.size() == im.size(), "A",
                "[channels, modes]");
  quant::PoleSite site{.bits = bits, .coding = named(kNames<quant::PoleCoding>, coding, "coding")};
  std::vector<std::complex<double>> channel(re.shape(1));
  for (std::size_t h = 0; h < re.shape(0); ++h) {
    float* const real = re.data() + h * channel.size();
    float* const imaginary = im.data() + h * channel.size();
    for (std::size_t n = 0; n < channel.size(); ++n) channel[n] = {real[n], imaginary[n]};
    const quant::QuantizedPoles poles = quant::quantize_poles(channel, site);
    for (std::size_t n = 0; n < channel.size(); ++n) {
      real[n] = quant::pole_value(poles.re[n]);
      imaginary[n] = quant::pole_value(poles.im[n]);
    }
  }
}

// Replaces [rows, columns] weights by the values of their codes; and the bias [rows] by that of its
// codes, in units of those of the sums of inputs with this scale.
void quantize_weights(const Changed<float>& values, int bits, bool per_row,
                      const Maybe<Changed<float>>& bias, float input_scale) {
  require_shape(values.ndim() == 2, "the matrix", "[rows, columns]");
  const std::size_t rows = values.shape(0);
  require_shape(!bias || has_shape(*bias, {rows}), "the bias", "[rows]");
  quant::WeightSite site;
  site.bits = bits;
  site.granularity = per_row ? quant::Granularity::kChannel : quant::Granularity::kTensor;
  site.scales = quant::ScaleKind::kFree;
  const std::span<float> all(values.data(), values.size());
  quant::QuantizedLinear codes{quant::quantize_weights(all, rows, site), {}};
  codes.weight.dequantize(all);
  if (bias) quant::quantize_bias({bias->data(), rows}, input_scale, codes);
}

}  // namespace

void bind_kernels(nb::module_& m) {
  nb::class_<Scan>(m, "Scan")
      .def(
          "__init__",
          [](Scan* self, Signal u, In<float> ar, Maybe<In<float>> ai, Maybe<In<float>> b,
             In<float> cr, Maybe<In<float>> ci, Maybe<In<float>> d, float limit,
             const std::string& mode, Maybe<In<std::uint8_t>> residue_bits, Maybe<In<float>> spread,
             Maybe<In<std::int32_t>> seeds, std::uint32_t first_step, std::size_t block) {
            const auto rounding = named(kRoundings, mode, "rounding");
            new (self) Scan{std::move(u),      std::move(ar),
                            std::move(ai),     std::move(b),
                            std::move(cr),     std::move(ci),
                            std::move(d),      limit,
                            rounding,          std::move(residue_bits),
                            std::move(spread), std::move(seeds),
                            first_step,        block};
          },
          "u"_a, "ar"_a, "ai"_a.none(), "b"_a.none(), "cr"_a, "ci"_a.none(), "d"_a.none(),
          "limit"_a, "mode"_a, "residue_bits"_a.none(), "spread"_a.none(), "seeds"_a.none(),
          "first_step"_a, "block"_a)
      .def("forward", &scan_forward, "y"_a, "start"_a.none(), "end"_a.none(), "kept"_a.none(),
           "threads"_a, "Writes y, the last state and those at the start of every block.")
      .def("adjoint", &scan_adjoint, "gy"_a, "kept"_a, "gend"_a.none(), "gu"_a, "gstart"_a.none(),
           "gradients"_a, "gd"_a.none(), "threads"_a)
      .def("peaks", &scan_peaks, "peaks"_a, "threads"_a);
  m.def("quantize_poles", &quantize_poles, "re"_a, "im"_a, "bits"_a, "coding"_a);
  m.def("quantize_weights", &quantize_weights, "values"_a, "bits"_a, "per_row"_a, "bias"_a.none(),
        "input_scale"_a);
  m.def("keep_freed_memory", &keep_freed_memory);
  m.attr("state_seed") = kernels::kDeployedSeed;
  m.attr("pole_fraction") = quant::kPoleFraction;
  m.attr("most_residue_bits") = kernels::kMostResidueBits;
}

}  // namespace crosstate::python
