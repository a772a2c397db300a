// How the codes of a quantized network were chosen, as far as its integers do not show it.
// Executors do not use it; storage and hardware cost depend on it (cost/deployment.h).
#pragma once

#include <cstdint>

#include "crosstate/model/options.h"
#include "crosstate/quant/options.h"

namespace crosstate::integer {

/// Settings of a weight site (quant/options.h).
struct WeightScheme {
  quant::Granularity granularity = quant::Granularity::kChannel;
  quant::ScaleKind scales = quant::ScaleKind::kFree;
  bool operator==(const WeightScheme&) const = default;
};

/// Settings of the quantized network from which an integer network was converted.
struct QuantizationScheme {
  WeightScheme encoder, c, d, weight, decoder;
  quant::PoleCoding coding = quant::PoleCoding::kLogPolar;  // of A
  // Scales between layers.
  quant::ScaleKind input = quant::ScaleKind::kFree, residual = quant::ScaleKind::kFree,
                   ssm_output = quant::ScaleKind::kFree, activation = quant::ScaleKind::kFree,
                   linear = quant::ScaleKind::kFree;
  kernels::Activation activation_function = kernels::Activation::kGelu;  // ModelOptions
  model::Gate gate_function = model::Gate::kSigmoid;
  std::uint64_t parameters = 0;  // number of trained parameters
  bool operator==(const QuantizationScheme&) const = default;
};

}  // namespace crosstate::integer
