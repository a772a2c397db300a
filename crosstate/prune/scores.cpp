#include "crosstate/prune/scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/prune/hankel.h"
#include "crosstate/prune/mode_scores.h"
#include "crosstate/prune/options.h"

namespace crosstate::prune {
namespace {

double square(double x) { return x * x; }

// Sum of w g over one column of a matrix [rows][columns].
double column_dot(std::span<const float> w, std::span<const double> g, std::size_t column,
                  std::size_t columns) {
  double sum = 0;
  for (std::size_t i = column; i < w.size(); i += columns) sum += w[i] * g[i];
  return sum;
}

double column_energy(std::span<const float> w, std::size_t column, std::size_t columns) {
  double sum = 0;
  for (std::size_t i = column; i < w.size(); i += columns) sum += square(w[i]);
  return sum;
}

PartScores zeros(const model::Network::State& s) {
  PartScores scores;
  for (const model::BlockShape& shape : s.shapes) {
    scores.blocks.push_back(
        {std::vector<double>(shape.modes(), 0), std::vector<double>(shape.size(), 0)});
  }
  scores.stream.assign(s.channels(), 0);
  return scores;
}

std::vector<double> energies(std::span<const model::DiscreteMode> modes) {
  std::vector<double> out;
  for (const model::DiscreteMode& m : modes) out.push_back(energy_score(m));
  return out;
}

std::vector<double> hankel_scores(std::span<const model::DiscreteMode> modes) {
  const std::vector<double> energy = energies(modes), values = hankel_singular_values(modes);
  std::vector<std::size_t> order(modes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return energy[a] > energy[b]; });
  std::vector<double> out(modes.size());
  for (std::size_t i = 0; i < order.size(); ++i) out[order[i]] = square(values[i]);
  return out;
}

std::vector<double> channel_scores(std::span<const model::DiscreteMode> modes, Score score) {
  std::vector<double> out;
  switch (score) {
    case Score::kMagnitude:
      for (const model::DiscreteMode& m : modes) out.push_back(std::norm(m.c));
      return out;
    case Score::kLast:
      for (const model::DiscreteMode& m : modes) out.push_back(h_infinity_score(m));
      return out;
    case Score::kEnergy:
      return energies(modes);
    case Score::kHankel:
      return hankel_scores(modes);
    case Score::kTaylor:
      break;  // not computed from the weights alone
  }
  throw std::logic_error("a score that does not come from the weights");
}

// From the weights alone.
PartScores score_weights(const model::Network& network, Score score) {
  const model::Network::State& s = network.state();
  const model::Coefficients c = s.coefficients();
  PartScores scores = zeros(s);
  const auto add_shares = [&](const std::vector<double>& of, const std::vector<std::size_t>& at) {
    const double sum = std::accumulate(of.begin(), of.end(), 0.0);
    for (std::size_t i = 0; i < of.size() && sum > 0; ++i) scores.stream[at[i]] += of[i] / sum;
  };
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const model::BlockShape& shape = s.shapes[l];
    PartScores::Block& block = scores.blocks[l];
    for (std::size_t h = 0; h < shape.size(); ++h) {
      const std::vector<double> modes = channel_scores(rounded_modes(c.blocks[l], shape, h), score);
      std::copy(modes.begin(), modes.end(),
                block.modes.begin() + static_cast<std::ptrdiff_t>(shape.first[h]));
      const double through = std::accumulate(modes.begin(), modes.end(), square(c.blocks[l].d[h]));
      block.channels[h] = through * column_energy(c.blocks[l].weight, h, shape.size());
    }
    add_shares(block.channels, shape.channels);
  }
  std::vector<double> decoder;
  for (std::size_t h = 0; h < s.channels(); ++h) {
    decoder.push_back(column_energy(c.decoder, h, s.channels()));
  }
  add_shares(decoder, model::BlockShape::whole(s.channels(), 1).channels);
  return scores;
}

// Adds the squares for one batch, whose gradients are in the parameters.
void add_taylor(const model::Network::State& s, PartScores& scores) {
  std::vector<double> stream(s.channels());
  const model::Parameter& decoder = s.parameters[s.decoder];
  for (std::size_t h = 0; h < stream.size(); ++h) {
    stream[h] = column_dot(decoder.value, decoder.gradient, h, stream.size());
  }
  const std::size_t parts = s.complex() ? 2 : 1;
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const model::BlockShape& shape = s.shapes[l];
    const model::Parameter &c = s.parameters[s.blocks[l].c], &d = s.parameters[s.blocks[l].d];
    const model::Parameter& weight = s.parameters[s.blocks[l].weight];
    for (std::size_t h = 0; h < shape.size(); ++h) {
      double& into_block = stream[shape.channels[h]];
      into_block += d.value[h] * d.gradient[h];
      for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
        double slope = 0;
        for (std::size_t k = i * parts; k < (i + 1) * parts; ++k) {
          slope += c.value[k] * c.gradient[k];
        }
        scores.blocks[l].modes[i] += square(slope);
        into_block += slope;
      }
      scores.blocks[l].channels[h] +=
          square(column_dot(weight.value, weight.gradient, h, shape.size()));
    }
  }
  for (std::size_t h = 0; h < stream.size(); ++h) scores.stream[h] += square(stream[h]);
}

// Parts can only be put in order by numbers.
PartScores finite(PartScores scores, Score score) {
  const auto require = [&](const std::vector<double>& values) {
    if (std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }))
      return;
    fail("prune.score", name_of(score) +
                            " of some parts is not finite: values or gradients of the network "
                            "overflow; expected a network whose loss is finite");
  };
  require(scores.stream);
  for (const PartScores::Block& block : scores.blocks) {
    require(block.modes);
    require(block.channels);
  }
  return scores;
}

}  // namespace

std::vector<model::DiscreteMode> rounded_modes(const model::BlockCoefficients& block,
                                               const model::BlockShape& shape, std::size_t s) {
  std::vector<model::DiscreteMode> modes;
  for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
    // The step of the state cancels: b is in steps, c is per step.
    const double b = block.b[i];
    modes.push_back({{block.ar[i], block.ai[i]}, {block.cr[i] * b, block.ci[i] * b}});
  }
  return modes;
}

PartScores score_parts(const model::Network& network, Score score,
                       std::span<const data::Batch> batches, ThreadPool& pool) {
  if (score != Score::kTaylor) return finite(score_weights(network, score), score);
  if (batches.empty()) fail("prune.score", "taylor needs batches of data");
  model::Network copy = network;
  PartScores scores = zeros(copy.state());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    copy.train_step(batches[i], {.seed = 0, .step = i}, pool);
    add_taylor(copy.state(), scores);
  }
  return finite(std::move(scores), score);
}

}  // namespace crosstate::prune
