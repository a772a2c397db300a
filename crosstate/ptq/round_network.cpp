#include "crosstate/ptq/round_network.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>
#include <numbers>
#include <tuple>
#include <utility>

#include "crosstate/base/complex.h"
#include "crosstate/base/error.h"
#include "crosstate/model/calibration.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"
#include "crosstate/ptq/formats.h"
#include "crosstate/ptq/gptq.h"
#include "crosstate/ptq/kernel_rounding.h"

namespace crosstate::ptq {
namespace {

using Complex = std::complex<double>;
using model::Network;

// Strength of the penalty towards the float weights, relative to the mean square of an input.
// Layers have tens of thousands of samples; the decoder has one per sequence, and the modes of a
// channel are similar to each other.
constexpr double kRidge = 1e-4, kDecoderRidge = 3e-2, kRecurrenceRidge = 1e-4;

std::vector<double> doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

// The parameters for which the pole is `a` after discretisation, nearest to those of the mode.
model::ContinuousMode with_pole(model::ContinuousMode mode, Complex a, model::Discretization rule) {
  const double dt = std::exp(mode.log_dt);
  Complex pole;
  if (rule == model::Discretization::kZeroOrderHold) {
    const double turns = std::round((mode.w * dt - std::arg(a)) / (2 * std::numbers::pi));
    pole = (logarithm(a) + Complex(0, 2 * std::numbers::pi * turns)) / dt;
  } else {
    pole = 2 / dt * (a - 1.0) / (a + 1.0);
  }
  mode.log_a = std::log(-pole.real());
  mode.w = pole.imag();
  return mode;
}

model::DiscreteMode discrete(const Network::State& s, const model::ContinuousMode& mode) {
  return model::discretize(mode, s.discretization(), s.complex());
}

// The fit without its last input, whose weight is already known.
Moments without_last(const Moments& from, double weight) {
  const std::size_t n = from.inputs - 1, row = from.inputs + 1;
  Moments to(n, 1);
  const auto place = [&](std::size_t i) { return i < n ? i : from.inputs; };  // of the 1, too
  for (std::size_t i = 0; i <= n; ++i) {
    for (std::size_t j = 0; j <= n; ++j) {
      to.gram[i * (n + 1) + j] = from.gram[place(i) * row + place(j)];
    }
    to.cross[i] = from.cross[place(i)] - weight * from.gram[place(i) * row + n];
  }
  return to;
}

bool has_codes(const quant::WeightSite& site) { return site.bits >= 2; }

// The codes chosen by round_to_outputs() are reproduced by the largest magnitude; those of one bit
// are the nearest.
quant::QuantOptions format_of(const quant::QuantOptions& options) {
  quant::QuantOptions format = resolved_without_noise(options);
  for (quant::WeightSite* site :
       {&format.encoder, &format.c, &format.d, &format.weight, &format.decoder}) {
    site->learned = false;
    if (site == &format.d) continue;
    site->range = has_codes(*site) ? quant::WeightRange::kAbsmax : quant::WeightRange::kAuto;
  }
  format.bias_correction = false;
  return format;
}

}  // namespace

struct NetworkRounder::Inside {
  const Network& network;
  ThreadPool& pool;
  Check check;
  model::Observers observers;  // with histograms
  Statistics statistics;
  // Poles chosen for a coding, bits and bits of C, [layers][N].
  using PoleKey = std::tuple<int, int, int>;
  mutable std::map<PoleKey, std::vector<std::vector<Complex>>> poles;

  Inside(const Network& n, std::span<const data::Batch> batches, ThreadPool& p, Check c)
      : network(n),
        pool(p),
        check(std::move(c)),
        observers(model::measure_observers(n.state(), n.state().coefficients(), batches, p, true)),
        statistics(n, batches, p, check) {}

  const std::vector<std::vector<Complex>>& chosen_poles(const quant::PoleSite& site,
                                                        int c_bits) const {
    const PoleKey key{static_cast<int>(site.coding), site.bits, c_bits};
    const auto found = poles.find(key);
    if (found != poles.end()) return found->second;
    const Network::State& s = network.state();
    std::vector<std::vector<Complex>> chosen;
    for (std::size_t l = 0; l < s.blocks.size(); ++l) {
      const model::BlockShape& shape = s.shapes[l];
      std::vector<Complex>& layer = chosen.emplace_back(shape.modes());
      check_with(check);
      pool.parallel_for(shape.size(), [&](std::size_t c, int) {
        std::vector<model::DiscreteMode> modes;
        for (std::size_t i = shape.first[c]; i < shape.first[c + 1]; ++i) {
          modes.push_back(discrete(s, s.mode(l, c, i)));
        }
        const std::vector<Complex> best =
            choose_poles(modes, s.complex(), statistics.stream(l)[c], site, c_bits);
        std::copy(best.begin(), best.end(),
                  layer.begin() + static_cast<std::ptrdiff_t>(shape.first[c]));
      });
    }
    return poles.emplace(key, std::move(chosen)).first->second;
  }

  void set_poles(Network& to) const {
    const Network::State& s = to.state();
    if (s.quant.a.bits == quant::kFloatBits) return;
    const std::vector<std::vector<Complex>>& chosen =
        chosen_poles(s.quant.a, s.quant.c.bits == quant::kFloatBits ? 16 : s.quant.c.bits);
    for (std::size_t l = 0; l < s.blocks.size(); ++l) {
      for (std::size_t c = 0; c < s.shapes[l].size(); ++c) {
        for (std::size_t i = s.shapes[l].first[c]; i < s.shapes[l].first[c + 1]; ++i) {
          const model::ContinuousMode before = s.mode(l, c, i);
          const model::DiscreteMode wanted = discrete(s, before);
          if (chosen[l][i] == wanted.a) continue;
          const model::ContinuousMode mode = with_pole(before, chosen[l][i], s.discretization());
          to.parameters()[s.blocks[l].log_a].value[i] = static_cast<float>(mode.log_a);
          if (s.complex()) to.parameters()[s.blocks[l].w].value[i] = static_cast<float>(mode.w);
          // B, which is folded into C, depends on the pole.
          set_c(to, l, c, i, wanted.c);
        }
      }
    }
  }

  // Sets C of a mode so that it is `c` after discretisation.
  static void set_c(Network& to, std::size_t layer, std::size_t channel, std::size_t i, Complex c) {
    const Network::State& s = to.state();
    model::ContinuousMode mode = s.mode(layer, channel, i);
    mode.c = 1;
    const Complex parameter = c / discrete(s, mode).c;
    std::vector<float>& value = to.parameters()[s.blocks[layer].c].value;
    if (s.complex()) {
      value[2 * i] = static_cast<float>(parameter.real());
      value[2 * i + 1] = static_cast<float>(parameter.imag());
    } else {
      value[i] = static_cast<float>(parameter.real());
    }
  }

  void fit_recurrence(Network& to, std::size_t layer) const {
    const Network::State& s = to.state();
    if (!has_codes(s.quant.c)) return;
    const model::BlockShape& shape = s.shapes[layer];
    const std::size_t parts = s.complex() ? 2 : 1;
    const model::Coefficients coefficients = s.coefficients();
    const AlignedFloats& d = coefficients.blocks[layer].d;
    const float input_scale = coefficients.residual.on ? coefficients.residual.scale[0] : 1.0f;
    const std::vector<Moments> moments = statistics.recurrence(to, layer);
    std::vector<LinearFit> fits;
    std::vector<Rows> groups;
    std::vector<std::size_t> channels;
    fits.reserve(shape.size());
    for (std::size_t c = 0; c < shape.size(); ++c) {
      const std::size_t first = shape.first[c], count = shape.modes(c);
      if (count == 0) continue;
      std::vector<double> start(parts * count);
      for (std::size_t n = 0; n < count; ++n) {
        const Complex now = discrete(s, s.mode(layer, c, first + n)).c *
                            s.state_step(layer, first + n, input_scale);
        start[n] = now.real();
        if (parts == 2) start[count + n] = now.imag();
      }
      fits.push_back(
          fit(without_last(moments[c], static_cast<double>(d[c])), start, kRecurrenceRidge, false));
      groups.push_back({parts * count, fits.back().weight, fits.back().gram});
      channels.push_back(c);
    }
    const std::vector<quant::QuantizedTensor> rounded = round_to_outputs(groups, s.quant.c);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::size_t first = shape.first[channels[g]], count = shape.modes(channels[g]);
      const auto scale = static_cast<double>(rounded[g].scales[0]);
      for (std::size_t n = 0; n < count; ++n) {
        const double step = s.state_step(layer, first + n, input_scale);
        const Complex code(rounded[g].codes[n], parts == 2 ? rounded[g].codes[count + n] : 0);
        set_c(to, layer, channels[g], first + n, code * (scale / step));
      }
    }
  }

  // Fits the weights [rows][columns] of a linear map and its bias, and quantizes them.
  static void fit_linear(const Moments& moments, const quant::WeightSite& site, double ridge,
                         std::span<const float> rounded_now, std::vector<float>& weight,
                         std::vector<float>& bias) {
    const std::vector<double> start = doubles(weight);
    const LinearFit best = fit(moments, start, ridge, true);
    std::vector<float> values(rounded_now.begin(), rounded_now.end());
    if (has_codes(site)) {
      const Rows rows{best.inputs, best.weight, best.gram};
      round_to_outputs(std::span(&rows, 1), site)[0].dequantize(values);
      weight = values;
    }
    for (std::size_t o = 0; o < bias.size(); ++o) {
      bias[o] = static_cast<float>(
          best.bias(o, doubles(std::span(values).subspan(o * best.inputs, best.inputs))));
    }
  }

  Network nearest(const quant::QuantOptions& options) const {
    Network to = network;
    to.quantize(format_of(options), observers);
    return to;
  }

  Network in_format(const quant::QuantOptions& options) const {
    Network to = nearest(options);
    // How many bits the residue of a mode has depends on its pole.
    const quant::StateSite& state = to.quant_options().state;
    if (state.residue_bits > 0 && state.residue == quant::ResidueRule::kByPole) set_poles(to);
    return to;
  }

  Network round(const quant::QuantOptions& options) const {
    Network to = nearest(options);
    set_poles(to);
    const Network::State& s = to.state();
    const auto values = [&](std::size_t parameter) -> std::vector<float>& {
      return to.parameters()[parameter].value;
    };
    fit_linear(statistics.encoder(to), s.quant.encoder, kRidge, s.coefficients().encoder,
               values(s.encoder), values(s.encoder_bias));
    for (std::size_t l = 0; l < s.blocks.size(); ++l) {
      fit_recurrence(to, l);
      fit_linear(statistics.linear(to, l), s.quant.weight, kRidge,
                 s.coefficients().blocks[l].weight, values(s.blocks[l].weight),
                 values(s.blocks[l].bias));
    }
    fit_linear(statistics.decoder(to), s.quant.decoder, kDecoderRidge, s.coefficients().decoder,
               values(s.decoder), values(s.decoder_bias));
    return to;
  }
};

NetworkRounder::NetworkRounder(const Network& network, std::span<const data::Batch> batches,
                               ThreadPool& pool, Check check) {
  if (network.quantized()) fail("quantize", "the network is quantized already");
  if (network.options().norm != model::Norm::kNone) {
    fail("quantize",
         "norm is '" + name_of(network.options().norm) + "', expected none: norms must be folded");
  }
  inside_ = std::make_unique<Inside>(network, batches, pool, std::move(check));
}

NetworkRounder::~NetworkRounder() = default;

Network NetworkRounder::round(const quant::QuantOptions& format) const {
  return inside_->round(format);
}

Network NetworkRounder::in_format(const quant::QuantOptions& format) const {
  return inside_->in_format(format);
}

const Network& NetworkRounder::network() const { return inside_->network; }

}  // namespace crosstate::ptq
