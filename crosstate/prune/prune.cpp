#include "crosstate/prune/prune.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/complex.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"
#include "crosstate/prune/hankel.h"
#include "crosstate/prune/mode_scores.h"
#include "crosstate/prune/scores.h"

namespace crosstate::prune {
namespace {

using Complex = std::complex<double>;

model::DiscreteMode discrete(const model::Network::State& s, const model::ContinuousMode& mode) {
  return model::discretize(mode, s.discretization(), s.complex());
}

// Before quantization.
std::vector<model::DiscreteMode> trained_modes(const model::Network::State& s, std::size_t l,
                                               std::size_t h) {
  std::vector<model::DiscreteMode> modes;
  for (std::size_t i = s.shapes[l].first[h]; i < s.shapes[l].first[h + 1]; ++i) {
    modes.push_back(discrete(s, s.mode(l, h, i)));
  }
  return modes;
}

// The continuous pole whose discretised value is `a`.
Complex continuous_pole(Complex a, double dt, model::Discretization rule) {
  if (rule == model::Discretization::kZeroOrderHold) return logarithm(a) / dt;
  return 2.0 / dt * (a - 1.0) / (a + 1.0);
}

// Sets parameters of one mode.
class ModeWriter {
 public:
  ModeWriter(model::Network& network, std::size_t layer, std::size_t channel)
      : network_(network), layer_(layer), channel_(channel) {}

  // Scales so that the discrete mode has the output `c`.
  void output(std::size_t i, Complex c) {
    const model::Network::State& s = network_.state();
    model::ContinuousMode unit = s.mode(layer_, channel_, i);
    unit.c = 1;
    put(s.blocks[layer_].c, i, c / discrete(s, unit).c);
  }

  void pole(std::size_t i, Complex a) {
    const model::Network::State& s = network_.state();
    const model::BlockParameters& p = s.blocks[layer_];
    const double dt = std::exp(s.mode(layer_, channel_, i).log_dt);
    const Complex pole = continuous_pole(a, dt, s.discretization());
    value(p.log_a)[i] = static_cast<float>(std::log(std::max(-pole.real(), 1e-12)));
    value(p.w)[i] = static_cast<float>(pole.imag());
    if (s.options.train_b) put(p.b, i, 1);
  }

 private:
  std::vector<float>& value(std::size_t index) { return network_.parameters()[index].value; }
  void put(std::size_t index, std::size_t i, Complex v) {
    if (!network_.state().complex()) {
      value(index)[i] = static_cast<float>(v.real());
      return;
    }
    value(index)[2 * i] = static_cast<float>(v.real());
    value(index)[2 * i + 1] = static_cast<float>(v.imag());
  }

  model::Network& network_;
  std::size_t layer_, channel_;
};

// Channel h of block l has lost modes; `all` are its modes before.
void replace_modes(model::Network& network, std::size_t l, std::size_t h,
                   std::span<const model::DiscreteMode> all, const PruneOptions& options) {
  const model::Network::State& s = network.state();
  const std::size_t first = s.shapes[l].first[h], count = s.shapes[l].modes(h);
  ModeWriter write(network, l, h);
  if (options.score == Score::kHankel && s.complex()) {
    const std::vector<model::DiscreteMode> modes = truncate_balanced(all, count);
    for (std::size_t n = 0; n < modes.size(); ++n) {
      write.pole(first + n, modes[n].a);
      write.output(first + n, modes[n].c);
    }
    if (!modes.empty()) return;
  }
  if (!options.refit) return;
  std::vector<Complex> poles;
  for (const model::DiscreteMode& m : trained_modes(s, l, h)) poles.push_back(m.a);
  const std::vector<Complex> outputs = refit_outputs(all, poles);
  for (std::size_t n = 0; n < count; ++n) write.output(first + n, outputs[n]);
}

void replace_all_modes(const model::Network& from, const model::NetworkParts& kept,
                       const PruneOptions& options, model::Network& to) {
  const model::Network::State &before = from.state(), &after = to.state();
  for (std::size_t l = 0; l < after.shapes.size(); ++l) {
    for (std::size_t h = 0; h < after.shapes[l].size(); ++h) {
      const std::size_t channel = kept.stream[after.shapes[l].channels[h]];
      const std::vector<std::size_t>& channels = before.shapes[l].channels;
      const auto at = static_cast<std::size_t>(
          std::lower_bound(channels.begin(), channels.end(), channel) - channels.begin());
      const std::size_t count = after.shapes[l].modes(h);
      if (count == 0 || count == before.shapes[l].modes(at)) continue;
      replace_modes(to, l, h, trained_modes(before, l, at), options);
    }
  }
}

// Adds the mean contribution of removed columns of a matrix [rows][columns] to its bias.
void keep_means(const model::Parameter& weight, const std::vector<double>& means,
                model::Parameter& bias) {
  const std::size_t columns = means.size();
  for (std::size_t o = 0; o < bias.value.size(); ++o) {
    double sum = 0;
    for (std::size_t i = 0; i < columns; ++i) sum += weight.value[o * columns + i] * means[i];
    bias.value[o] += static_cast<float>(sum);
  }
}

// The network with biases that include the mean contribution of the channels that `kept` drops.
model::Network with_means(const model::Network& network, const model::NetworkParts& kept,
                          std::span<const data::Batch> batches, ThreadPool& pool) {
  model::Network out = network;
  const model::Network::State& s = network.state();
  const model::Observers observers = model::measure_observers(s, s.coefficients(), batches, pool);
  const auto stays = [](const std::vector<std::size_t>& numbers, std::size_t i) {
    return std::binary_search(numbers.begin(), numbers.end(), i);
  };
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const model::BlockShape& shape = s.shapes[l];
    std::vector<double> means(shape.size(), 0);
    for (std::size_t h = 0; h < shape.size(); ++h) {
      const bool stay = stays(kept.stream, shape.channels[h]) && stays(kept.blocks[l].channels, h);
      if (!stay) means[h] = observers.blocks[l].activation.mean(h);
    }
    keep_means(s.parameters[s.blocks[l].weight], means, out.parameters()[s.blocks[l].bias]);
  }
  std::vector<double> means(s.channels(), 0);
  for (std::size_t h = 0; h < means.size(); ++h) {
    if (!stays(kept.stream, h)) means[h] = observers.output.mean(h);
  }
  keep_means(s.parameters[s.decoder], means, out.parameters()[s.decoder_bias]);
  return out;
}

}  // namespace

model::Network prune(const model::Network& network, const PruneOptions& options,
                     const PruneShares& shares, const NetworkSize& whole,
                     std::span<const data::Batch> batches, ThreadPool& pool) {
  const PartScores scores = score_parts(network, options.score, batches, pool);
  const model::NetworkParts kept = select_parts(network, scores, shares, options.scope, whole);
  model::Network pruned =
      batches.empty() ? network.part(kept) : with_means(network, kept, batches, pool).part(kept);
  replace_all_modes(network, kept, options, pruned);
  if (options.score == Score::kHankel && pruned.quantized()) pruned.measure_states(batches, pool);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    pruned.measure_norms(batches[i], 1 / static_cast<double>(i + 1), pool);
  }
  return pruned;
}

void shrink_groups(model::Network& network, double strength) {
  const auto shrink = [](double norm, double by) { return norm > by ? 1 - by / norm : 0.0; };
  const model::Network::State& s = network.state();
  const std::size_t parts = s.complex() ? 2 : 1;
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const model::BlockShape& shape = s.shapes[l];
    std::vector<float>& c = network.parameters()[s.blocks[l].c].value;
    std::vector<float>& weight = network.parameters()[s.blocks[l].weight].value;
    for (std::size_t h = 0; h < shape.size(); ++h) {
      for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
        model::ContinuousMode unit = s.mode(l, h, i);
        const double norm = magnitude(unit.c);
        unit.c = 1;
        const double by = strength * std::sqrt(energy_score(discrete(s, unit)));
        const double factor = shrink(norm, by);
        for (std::size_t k = i * parts; k < (i + 1) * parts; ++k) {
          c[k] = static_cast<float>(c[k] * factor);
        }
      }
      double squares = 0;
      for (std::size_t k = h; k < weight.size(); k += shape.size()) {
        squares += static_cast<double>(weight[k]) * weight[k];
      }
      const double factor = shrink(std::sqrt(squares), strength);
      for (std::size_t k = h; k < weight.size(); k += shape.size()) {
        weight[k] = static_cast<float>(weight[k] * factor);
      }
    }
  }
}

}  // namespace crosstate::prune
