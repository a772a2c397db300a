// Random integer networks of every format, for tests.
#pragma once

#include <string>

#include "crosstate/integer/convert.h"
#include "crosstate/model/testing.h"

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

/// 40 sequences of up to 37 steps.
inline data::Dataset sequences(int number) {
  return model::reference::random_set(static_cast<std::uint64_t>(number) + 1, 40, 37, kTask, true);
}

/// How the state is rounded: "nearest", "stochastic", "residue " and its bits, or "by-pole".
inline void round_state(quant::StateSite& state, const std::string& how) {
  if (how == "stochastic") state.rounding = quant::StateRounding::kStochastic;
  if (how.starts_with("residue ")) state.residue_bits = std::stoi(how.substr(8));
  if (how != "by-pole") return;
  state.residue_bits = 10;
  state.residue = quant::ResidueRule::kByPole;
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
                                                 : "nearest");
  return network(number, set, of_number);
}

}  // namespace crosstate::integer::fixtures
