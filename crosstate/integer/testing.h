// Random integer networks of every format, for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/convert.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/model/testing.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer::fixtures {

inline const model::TaskShape kTask{2, 4};

inline model::ModelOptions shape(int number) {
  model::ModelOptions o = model::reference::small_options();
  o.norm = model::Norm::kNone;
  o.layers = 1 + number % 3;
  o.channels = number % 7 == 6 ? 19 : 3 + number % 5;
  o.gate = number % 3 == 0   ? model::Gate::kNone
           : number % 3 == 1 ? model::Gate::kSigmoid
                             : model::Gate::kHardSigmoid;
  o.activation = number % 4 == 0   ? kernels::Activation::kRelu
                 : number % 4 == 1 ? kernels::Activation::kGelu
                 : number % 4 == 2 ? kernels::Activation::kHardGelu
                                   : kernels::Activation::kIdentity;
  o.pooling = number % 5 == 0 ? model::Pooling::kLast : model::Pooling::kMean;
  if (number % 4 == 3) {
    o.modes = model::ModeKind::kReal;
    o.init = model::PoleStart::kReal;
  }
  return o;
}

inline quant::QuantOptions format(int number, bool powers_of_two) {
  quant::QuantOptions q;
  const int weights[] = {8, 2, 4, 1, 3, 6}, values[] = {8, 6, 4, 7};
  q.preset = "w" + std::to_string(weights[number % 6]) + "a" + std::to_string(values[number % 4]) +
             "s" + std::to_string(4 + number % 5);
  q.scales = powers_of_two ? quant::ScaleKind::kPowerOfTwo : quant::ScaleKind::kFree;
  q.weight_scales = q.scales;
  q.granularity = number % 2 == 0 ? quant::Granularity::kChannel : quant::Granularity::kTensor;
  q.a.coding = number % 3 == 0   ? quant::PoleCoding::kLogPolar
               : number % 3 == 1 ? quant::PoleCoding::kCartesian
                                 : quant::PoleCoding::kPolar;
  q.activation.codes =
      number % 2 == 0 ? quant::CodeSymmetry::kAffine : quant::CodeSymmetry::kSymmetric;
  return quant::resolved(q);
}

/// The file of a network that needs no early shifts, as version 1 had it.
inline formats::Safetensors in_version_one(formats::Safetensors content) {
  content.metadata["format"] = "crosstate integer network 1";
  nlohmann::json shape = parse_json(content.metadata.at("integer"));
  shape.erase("score_steps");
  content.metadata["integer"] = exact_json_text(shape);
  std::erase_if(content.tensors,
                [](const auto& tensor) { return tensor.first.ends_with(".early"); });
  return content;
}

/// 40 sequences of up to 37 steps.
inline data::Dataset sequences(int number) {
  return model::reference::random_set(static_cast<std::uint64_t>(number) + 1, 40, 37, kTask, true);
}

/// Rounding of the state: "nearest", "stochastic", "residue " and its bits, or "by-pole".
inline void round_state(quant::StateSite& state, const std::string& how) {
  if (how == "stochastic") state.rounding = quant::StateRounding::kStochastic;
  if (how.starts_with("residue ")) state.residue_bits = std::stoi(how.substr(8));
  if (how != "by-pole") return;
  state.residue_bits = 10;
  state.residue = quant::ResidueRule::kByPole;
  state.residue_margin = 1;  // so that the modes of small random networks have some
}

/// Calibrated on the set.
inline model::Network rounded_network(int number, const data::Dataset& set,
                                      const quant::QuantOptions& format) {
  model::Network network = model::reference::random_network(shape(number), kTask);
  ThreadPool pool(1);
  const data::Batch batch = model::reference::batch_of(set);
  network.quantize(format, {&batch, 1}, pool);
  return network;
}

inline IntegerNetwork network(int number, const data::Dataset& set,
                              const quant::QuantOptions& format) {
  return to_integers(rounded_network(number, set, format));
}
inline IntegerNetwork network(int number, const data::Dataset& set) {
  quant::QuantOptions of_number = format(number, number % 3 != 2);
  round_state(of_number.state, number % 7 == 3   ? "stochastic"
                               : number % 7 == 5 ? "residue 14"
                               : number % 7 == 4 ? "residue 4"
                               : number % 7 == 6 ? "by-pole"
                                                 : "nearest");
  return network(number, set, of_number);
}

// A network of random integers, not converted from a quantized network.
class RandomNetwork {
 public:
  explicit RandomNetwork(std::uint32_t number) : random_(1, Stream::kTest, number) {}

  IntegerNetwork make() {
    IntegerNetwork n;
    n.inputs = 1 + below(3);
    n.channels = 1 + below(6);
    n.outputs = 1 + below(4);
    n.modes = 1 + below(6);
    n.complex = below(4) > 0;
    n.gated = below(2) == 0;
    n.pool_last = below(3) == 0;
    n.input = codes(2 + integer(7), true);
    n.residual = codes(3 + integer(6), false);
    n.state_bits = 2 + integer(below(4) == 0 ? 11 : 7);
    const int top = (1 << (n.state_bits - 1)) - 1;
    n.state_limit = top - integer(static_cast<std::uint32_t>(top / 2) + 1);
    const std::uint32_t rounding = static_cast<std::uint32_t>(below(10));
    n.state_rounding = rounding == 0   ? kernels::RoundingMode::kNearest
                       : rounding == 1 ? kernels::RoundingMode::kStochastic
                                       : kernels::RoundingMode::kNoiseShaped;
    uniform_residue_ = below(2) == 0;
    residue_ = static_cast<std::uint8_t>(below(kernels::kMostResidueBits + 1));
    n.encoder = matrix(n.channels, n.inputs);
    n.encoder_codes = requantizer(n.channels, n.residual, magnitude(n.residual), false);
    for (std::size_t l = 0, layers = 1 + below(2); l < layers; ++l) n.blocks.push_back(block(n));
    n.decoder = matrix(n.outputs, n.channels);
    for (std::size_t k = 0; k < n.outputs; ++k) {
      n.scores.first.push_back(integer(1u << 20) - (1 << 19));
      n.scores.shift.push_back(20);
    }
    n.score_steps = whole_score_steps(n);
    require_64_bits(n, "random network");
    return n;
  }

  /// Inputs that exceed the codes of the network slightly.
  data::Dataset sequences(const IntegerNetwork& n, std::size_t count, std::size_t most) {
    const model::TaskShape task{static_cast<int>(n.inputs), static_cast<int>(n.outputs)};
    data::Dataset set = model::reference::random_set(random_.bits(), count, most, task, true);
    const double high = 1.2 * n.input.quant_max * n.input.scale,
                 low = 1.2 * n.input.quant_min * n.input.scale;
    const std::size_t held = 1 + below(12);
    float now = 0;
    for (std::size_t i = 0; i < set.values.size(); ++i) {
      if (i % held == 0) now = static_cast<float>(random_.uniform(low, high));
      set.values[i] = now;
    }
    return set;
  }

 private:
  std::size_t below(std::uint32_t bound) { return random_.below(bound); }
  int integer(std::uint32_t bound) { return static_cast<int>(random_.below(bound)); }

  CodeFormat codes(int bits, bool affine) {
    const int span = (1 << bits) - 1;
    if (!affine) return {-(span / 2), span / 2, 1};
    const int low = integer(static_cast<std::uint32_t>(span));
    return {-low, span - low, std::ldexp(1.0, -bits)};
  }

  template <class T>
  std::vector<T> within(std::size_t count, int most) {
    std::vector<T> out;
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back(static_cast<T>(integer(static_cast<std::uint32_t>(2 * most + 1)) - most));
    }
    return out;
  }

  IntegerMatrix matrix(std::size_t rows, std::size_t columns) {
    IntegerMatrix m;
    m.rows = rows;
    m.columns = columns;
    m.bits = 2 + integer(7);
    m.weight = within<std::int16_t>(rows * columns, m.bits == 2 ? 1 : (1 << (m.bits - 1)) - 1);
    for (const int bias : within<int>(rows, 300)) m.bias.push_back(bias);
    return m;
  }

  // Sums of the magnitude of `bound` become a few times the largest code.
  Requantizer requantizer(std::size_t rows, const CodeFormat& to, std::int64_t bound, bool two) {
    Requantizer r;
    for (std::size_t i = 0; i < rows; ++i) {
      const int sign = below(2) == 0 ? 1 : -1;
      const int shift = 8 + integer(12);
      const double gain = random_.uniform(0.2, 3) * static_cast<double>(magnitude(to)) /
                          static_cast<double>(std::max<std::int64_t>(bound, 1));
      const auto factor = std::clamp(std::ldexp(gain, shift), 1.0, 0x1p23);
      r.first.push_back(sign * static_cast<std::int32_t>(factor));
      if (two) r.second.push_back(integer(1u << shift) - (1 << (shift - 1)));
      r.shift.push_back(shift);
    }
    return r;
  }

  model::BlockShape shape(const IntegerNetwork& n) {
    if (below(3) > 0) return model::BlockShape::whole(n.channels, n.modes);
    std::vector<std::size_t> channels, modes;
    for (std::size_t h = 0; h < n.channels; ++h) {
      if (below(4) == 0) continue;
      channels.push_back(h);
      modes.push_back(below(static_cast<std::uint32_t>(n.modes) + 1));
    }
    if (channels.empty()) channels.push_back(0), modes.push_back(0);
    if (std::accumulate(modes.begin(), modes.end(), std::size_t{0}) == 0) modes[0] = 1;
    return {std::move(channels), modes};
  }

  // Poles anywhere in the unit circle, most of them slow.
  void add_pole(const IntegerNetwork& n, IntegerBlock& b) {
    constexpr double kOne = 1 << quant::kPoleFraction;
    for (double radius = 1 - std::exp2(-random_.uniform(0, 14));; radius *= 0.999) {
      const double angle = n.complex ? random_.normal() : below(8) == 0 ? 3.15 : 0;
      const auto re = static_cast<std::int16_t>(std::lround(kOne * radius * std::cos(angle)));
      const auto im =
          static_cast<std::int16_t>(n.complex ? std::lround(kOne * radius * std::sin(angle)) : 0);
      if (re * re + im * im >= 1 << 28) continue;
      b.ar.push_back(re);
      if (n.complex) b.ai.push_back(im);
      // Near the gain for which the state uses its range.
      const double full = (1 - radius) * n.state_limit / static_cast<double>(magnitude(n.residual));
      const int exponent = std::ilogb(std::max(full, 1e-6)) + quant::kPoleFraction + integer(5) - 1;
      b.input_shift.push_back(std::clamp(exponent, 0, 30));
      return;
    }
  }

  IntegerBlock block(const IntegerNetwork& n) {
    IntegerBlock b;
    b.shape = shape(n);
    const std::size_t S = b.shape.size(), N = b.shape.modes();
    b.a_bits = 16;
    b.c_bits = b.d_bits = 3 + integer(6);
    for (std::size_t i = 0; i < N; ++i) add_pole(n, b);
    if (n.state_rounding == kernels::RoundingMode::kNoiseShaped) {
      for (std::size_t i = 0; i < N; ++i) {
        const auto drawn = static_cast<std::uint8_t>(below(kernels::kMostResidueBits + 1));
        b.residue_bits.push_back(uniform_residue_ ? residue_ : drawn);
      }
    }
    const int most = (1 << (b.c_bits - 1)) - 1;
    b.cr = within<std::int16_t>(N, most);
    if (n.complex) b.ci = within<std::int16_t>(N, most);
    b.d = within<std::int16_t>(S, most);
    b.ssm_output = codes(3 + integer(6), false);
    b.activation = codes(3 + integer(6), true);
    b.linear = codes(3 + integer(6), false);
    b.gate = {0, (1 << (2 + integer(7))) - 1, 1.0 / 256};
    b.output = requantizer(S, b.ssm_output, std::int64_t{most} * n.state_limit, true);
    const auto table = [&](const CodeFormat& from, const CodeFormat& to) {
      std::vector<std::int32_t> entries;
      for (int code = from.quant_min; code <= from.quant_max; ++code) {
        entries.push_back(to.quant_min +
                          integer(static_cast<std::uint32_t>(to.quant_max - to.quant_min) + 1));
      }
      std::sort(entries.begin(), entries.end());
      return entries;
    };
    b.activation_table = table(b.ssm_output, b.activation);
    const std::size_t O = n.linear_outputs();
    b.linear_map = matrix(O, S);
    const std::int64_t sums = row_bound(b.linear_map, 0, magnitude(b.activation)) / 2;
    if (n.gated) {
      b.linear_codes = requantizer(O, b.linear, sums, false);
      b.gate_table = table(b.linear, b.gate);
    }
    const std::int64_t branch = n.gated ? branch_bound(n, b, 0) : sums;
    b.sum = requantizer(n.channels, n.residual, branch, true);
    return b;
  }

  Random random_;
  bool uniform_residue_ = false;
  std::uint8_t residue_ = 0;
};

}  // namespace crosstate::integer::fixtures
