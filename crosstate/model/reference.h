// The specification of a network in plain scalar code: one sequence, one value at a time, from the
// equations. Tests compare the vector code with it; it is never optimised. The state-space layer is
// implemented twice: as a recurrence and as a convolution with its kernel.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

#include "crosstate/model/network_state.h"

namespace crosstate::model::reference {

/// Bound on |Network::evaluate() - reference in double|, relative to max(1, largest |logit|), for
/// up to four layers and some tens of steps (checked by the tests).
inline constexpr double kNetworkTolerance = 5e-5;

template <class T>
using Matrix = std::vector<std::vector<T>>;
/// [time][channel].
template <class T>
using Sequence = Matrix<T>;

/// x_k = a x_{k-1} + gain u_k, y_k = Re(c x_k).
template <class T>
struct Mode {
  std::complex<T> a, c;
  T gain = 1;
};

/// S4D: A = -exp(log_a) + i w, dt = exp(log_dt). A conjugate pair counts as one mode with twice its
/// C.
template <class T>
Mode<T> discretize(T log_dt, T log_a, T w, std::complex<T> b, std::complex<T> c, bool bilinear,
                   bool conjugate_pair) {
  const std::complex<T> a(-std::exp(log_a), w);
  const T dt = std::exp(log_dt);
  const std::complex<T> one = 1;
  const std::complex<T> half = a * (dt / 2);
  Mode<T> mode;
  std::complex<T> gain;
  if (bilinear) {
    mode.a = (one + half) / (one - half);
    gain = dt / (one - half);
  } else {
    mode.a = std::exp(a * dt);
    gain = (mode.a - one) / a;
  }
  mode.c = c * b * gain * (conjugate_pair ? T(2) : T(1));
  return mode;
}

/// Does not round at any site.
struct Exact {
  template <class Site, class T>
  T operator()(Site, std::size_t, T x) const {
    return x;
  }
};

/// Sites at which a value may be rounded. The second argument of a rounding function is the block
/// (0 outside the blocks); for states it is block, channel and mode as one index.
enum class Site { kInput, kResidual, kSsmOutput, kActivation, kLinear, kGate, kState };

/// One channel as a recurrence. `round` is applied to both parts of each state; `first` is the
/// index of the first mode. `state` (null: zero) is read and updated, so that a sequence may be
/// processed in pieces.
template <class T, class Round = Exact>
std::vector<T> recurrence(const std::vector<Mode<T>>& modes, const std::vector<T>& u,
                          std::vector<std::complex<T>>* state = nullptr, Round round = {},
                          std::size_t first = 0) {
  std::vector<std::complex<T>> x(modes.size(), 0);
  if (state != nullptr) x = *state;
  std::vector<T> y(u.size(), 0);
  for (std::size_t k = 0; k < u.size(); ++k) {
    for (std::size_t n = 0; n < modes.size(); ++n) {
      const std::complex<T> next = modes[n].a * x[n] + modes[n].gain * u[k];
      x[n] = {round(Site::kState, first + n, next.real()),
              round(Site::kState, first + n, next.imag())};
      y[k] += (modes[n].c * x[n]).real();
    }
  }
  if (state != nullptr) *state = x;
  return y;
}

/// K_l = sum over modes of Re(c a^l) gain, l < length.
template <class T>
std::vector<T> convolution_kernel(const std::vector<Mode<T>>& modes, std::size_t length) {
  std::vector<T> kernel(length, 0);
  for (std::size_t l = 0; l < length; ++l) {
    for (const Mode<T>& m : modes) {
      // Every power is computed separately, so that nothing is shared with the recurrence.
      const std::complex<T> power =
          std::polar(std::pow(std::abs(m.a), static_cast<T>(l)), std::arg(m.a) * static_cast<T>(l));
      kernel[l] += (m.c * power).real() * m.gain;
    }
  }
  return kernel;
}

/// y_k = sum over l <= k of K_l u_{k-l}: the same channel without a state.
template <class T>
std::vector<T> convolution(const std::vector<Mode<T>>& modes, const std::vector<T>& u) {
  const std::vector<T> kernel = convolution_kernel(modes, u.size());
  std::vector<T> y(u.size(), 0);
  for (std::size_t k = 0; k < u.size(); ++k) {
    for (std::size_t l = 0; l <= k; ++l) y[k] += kernel[l] * u[k - l];
  }
  return y;
}

template <class T>
T activation(kernels::Activation f, T x) {
  if (f == kernels::Activation::kRelu) return std::max(x, T(0));
  if (f == kernels::Activation::kGelu) return x / 2 * std::erfc(-x / std::numbers::sqrt2_v<T>);
  if (f == kernels::Activation::kHardGelu) return x * std::clamp((x + T(1.5)) / 3, T(0), T(1));
  if (f == kernels::Activation::kIdentity) return x;
  throw std::invalid_argument("activation");
}

template <class T>
T gate(Gate f, T x) {
  if (f == Gate::kHardSigmoid) return std::clamp(x / 4 + T(0.5), T(0), T(1));
  if (f == Gate::kSigmoid) return 1 / (1 + std::exp(-x));
  throw std::invalid_argument("gate");
}

template <class T>
std::vector<T> layer_norm(const std::vector<T>& x, const std::vector<T>& gamma,
                          const std::vector<T>& beta) {
  T mean = 0, variance = 0;
  for (const T v : x) mean += v / static_cast<T>(x.size());
  for (const T v : x) variance += (v - mean) * (v - mean) / static_cast<T>(x.size());
  std::vector<T> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] = gamma[i] * (x[i] - mean) / std::sqrt(variance + T(1e-5)) + beta[i];
  }
  return y;
}

template <class T>
std::vector<T> linear(const Matrix<T>& weight, const std::vector<T>& bias,
                      const std::vector<T>& x) {
  std::vector<T> y = bias;
  for (std::size_t o = 0; o < y.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += weight[o][i] * x[i];
  }
  return y;
}

/// Coefficients of a network.
template <class T>
struct BlockValues {
  std::vector<std::size_t> channels;        // of the stream; [s]
  std::vector<std::vector<Mode<T>>> modes;  // [s][mode]
  std::vector<T> d;
  Matrix<T> weight;
  std::vector<T> bias;
  std::vector<T> gamma, beta, mean, variance;  // the last two: batch norm only
};
template <class T>
struct NetworkValues {
  ModelOptions options;
  Matrix<T> encoder, decoder;
  std::vector<T> encoder_bias, decoder_bias;
  std::vector<BlockValues<T>> blocks;
};

template <class T, class Values>
std::vector<T> to_vector(const Values& from) {
  return std::vector<T>(from.begin(), from.end());
}

template <class T, class Values>
Matrix<T> to_matrix(const Values& from, std::size_t rows) {
  const std::size_t columns = from.size() / rows;
  Matrix<T> m(rows, std::vector<T>(columns));
  for (std::size_t i = 0; i < from.size(); ++i)
    m[i / columns][i % columns] = static_cast<T>(from[i]);
  return m;
}

/// The coefficients of a float network, from its parameters by name and its running statistics.
template <class T>
NetworkValues<T> values_of(const Network& network) {
  const ModelOptions& options = network.options();
  const auto get = [&](const std::string& name) -> const std::vector<float>& {
    const auto& all = network.parameters();
    return std::find_if(all.begin(), all.end(), [&](const Parameter& p) { return p.name == name; })
        ->value;
  };
  NetworkValues<T> v;
  v.options = options;
  v.encoder_bias = to_vector<T>(get("encoder.bias"));
  v.decoder_bias = to_vector<T>(get("decoder.bias"));
  v.encoder = to_matrix<T>(get("encoder.weight"), v.encoder_bias.size());
  v.decoder = to_matrix<T>(get("decoder.weight"), v.decoder_bias.size());
  const bool complex = options.modes == ModeKind::kComplex,
             bilinear = options.discretization == Discretization::kBilinear;
  for (std::size_t l = 0; l < static_cast<std::size_t>(options.layers); ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    BlockValues<T> block;
    block.d = to_vector<T>(get(at + "D"));
    block.bias = to_vector<T>(get(at + "linear.bias"));
    block.weight = to_matrix<T>(get(at + "linear.weight"), block.bias.size());
    const BlockShape& shape = network.state().shapes[l];
    block.channels = shape.channels;
    for (std::size_t h = 0; h < shape.size(); ++h) {
      std::vector<Mode<T>> modes;
      for (std::size_t i = shape.first[h]; i < shape.first[h + 1]; ++i) {
        const auto number = [&](const std::string& name) {
          const std::vector<float>& p = get(at + name);
          return complex ? std::complex<T>(p[2 * i], p[2 * i + 1]) : std::complex<T>(p[i]);
        };
        modes.push_back(discretize<T>(
            get(at + "log_dt")[h], get(at + "log_a")[i], complex ? get(at + "w")[i] : 0,
            options.train_b ? number("B") : 1, number("C"), bilinear, complex));
      }
      block.modes.push_back(std::move(modes));
    }
    if (options.norm != Norm::kNone) {
      block.gamma = to_vector<T>(get(at + "norm.gamma"));
      block.beta = to_vector<T>(get(at + "norm.beta"));
    }
    if (options.norm == Norm::kBatch) {
      block.mean = to_vector<T>(network.state().statistics[l].mean);
      block.variance = to_vector<T>(network.state().statistics[l].variance);
    }
    v.blocks.push_back(std::move(block));
  }
  return v;
}

enum class Form { kRecurrence, kConvolution };

/// One block on one sequence: updates h by all steps of block `l`, including norm and residual sum.
template <class T, class Round>
void run_block(const NetworkValues<T>& v, std::size_t l, Form form, Round round, Sequence<T>& h) {
  const BlockValues<T>& block = v.blocks[l];
  const std::size_t inputs = block.channels.size(), channels = v.encoder_bias.size();
  Sequence<T> y(h.size(), std::vector<T>(inputs));
  std::size_t first = 0;
  for (std::size_t k = 0; k < l; ++k) {
    for (const auto& modes : v.blocks[k].modes) first += modes.size();
  }
  for (std::size_t c = 0; c < inputs; ++c) {
    std::vector<T> u;
    std::vector<std::complex<T>> state(block.modes[c].size(), 0);
    for (const auto& x : h) u.push_back(x[block.channels[c]]);
    const std::vector<T> out = form == Form::kConvolution
                                   ? convolution(block.modes[c], u)
                                   : recurrence(block.modes[c], u, &state, round, first);
    first += block.modes[c].size();
    for (std::size_t t = 0; t < h.size(); ++t) y[t][c] = out[t] + block.d[c] * u[t];
  }
  for (std::size_t t = 0; t < h.size(); ++t) {
    std::vector<T> a(inputs);
    for (std::size_t c = 0; c < inputs; ++c) {
      a[c] = round(Site::kActivation, l,
                   activation(v.options.activation, round(Site::kSsmOutput, l, y[t][c])));
    }
    std::vector<T> z = linear(block.weight, block.bias, a);
    if (v.options.norm == Norm::kBatch) {
      for (std::size_t o = 0; o < z.size(); ++o) {
        z[o] = block.gamma[o] * (z[o] - block.mean[o]) / std::sqrt(block.variance[o] + T(1e-5)) +
               block.beta[o];
      }
    }
    std::vector<T> sum(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      T out = z[c];
      if (v.options.gate != Gate::kNone) {
        const T open = gate(v.options.gate, round(Site::kLinear, l, z[channels + c]));
        out = round(Site::kLinear, l, out) * round(Site::kGate, l, open);
      }
      sum[c] = h[t][c] + out;
    }
    if (v.options.norm == Norm::kLayer) sum = layer_norm(sum, block.gamma, block.beta);
    for (std::size_t c = 0; c < channels; ++c) h[t][c] = round(Site::kResidual, 0, sum[c]);
  }
}

/// The outputs for one sequence of its own length, without dropout: those of the sequence, or those
/// of every step.
template <class T, class Round = Exact>
Matrix<T> outputs(const NetworkValues<T>& v, const Sequence<T>& input,
                  Form form = Form::kRecurrence, Round round = {}) {
  Sequence<T> h;
  for (std::vector<T> x : input) {
    for (T& value : x) value = round(Site::kInput, 0, value);
    std::vector<T> first = linear(v.encoder, v.encoder_bias, x);
    for (T& value : first) value = round(Site::kResidual, 0, value);
    h.push_back(std::move(first));
  }
  for (std::size_t l = 0; l < v.blocks.size(); ++l) run_block(v, l, form, round, h);
  Matrix<T> read;
  if (v.options.readout == task::Scope::kStep) {
    for (const auto& x : h) read.push_back(linear(v.decoder, v.decoder_bias, x));
    return read;
  }
  std::vector<T> pooled = h.back();
  if (v.options.pooling == Pooling::kMean) {
    for (std::size_t c = 0; c < pooled.size(); ++c) {
      pooled[c] = 0;
      for (const auto& x : h) pooled[c] += x[c] / static_cast<T>(h.size());
    }
  }
  read.push_back(linear(v.decoder, v.decoder_bias, pooled));
  return read;
}

/// The last row of outputs(): the logits of a sequence.
template <class T, class Round = Exact>
std::vector<T> logits(const NetworkValues<T>& v, const Sequence<T>& input,
                      Form form = Form::kRecurrence, Round round = {}) {
  return outputs(v, input, form, round).back();
}

}  // namespace crosstate::model::reference
