// How the codes of a quantized network were chosen, as far as its integers do not tell. No step
// computes with it; what storage and hardware take depends on it (cost/deployment.h).
#pragma once

#include <cstdint>

#include "crosstate/model/options.h"
#include "crosstate/quant/options.h"

namespace crosstate::integer {

/// The settings of a weight site (quant/options.h).
struct WeightScheme {
  quant::Granularity granularity = quant::Granularity::kChannel;
  quant::ScaleKind scales = quant::ScaleKind::kFree;
  bool operator==(const WeightScheme&) const = default;
};

/// The settings of the quantized network that an integer network comes from.
struct QuantizationScheme {
  WeightScheme encoder, c, d, weight, decoder;
  quant::PoleCoding coding = quant::PoleCoding::kLogPolar;  // of A
  // Scales between layers.
  quant::ScaleKind input = quant::ScaleKind::kFree, residual = quant::ScaleKind::kFree,
                   ssm_output = quant::ScaleKind::kFree, activation = quant::ScaleKind::kFree,
                   linear = quant::ScaleKind::kFree;
  kernels::Activation activation_function = kernels::Activation::kGelu;  // ModelOptions
  model::Gate gate_function = model::Gate::kSigmoid;
  std::uint64_t parameters = 0;  // trained
  bool operator==(const QuantizationScheme&) const = default;
};

}  // namespace crosstate::integer
