// How the codes of a quantized network were chosen, as far as its integers do not tell. No step
// computes with it; what storage and hardware take depends on it (cost/deployment.h).
#pragma once

#include <cstdint>
#include <string>

#include "crosstate/model/options.h"

namespace crosstate::integer {

/// The settings of a weight site: channel | tensor, free | pow2 (quant/options.h).
struct WeightScheme {
  std::string granularity = "channel", scales = "free";
  bool operator==(const WeightScheme&) const = default;
};

/// The settings of the quantized network that an integer network comes from.
struct QuantizationScheme {
  WeightScheme encoder, c, d, weight, decoder;
  std::string coding = "log-polar";  // of A: log-polar | polar | cartesian
  // Scales between layers: free | pow2.
  std::string input = "free", residual = "free", ssm_output = "free", activation = "free",
              linear = "free";
  kernels::Activation activation_function = kernels::Activation::kGelu;  // ModelOptions
  model::Gate gate_function = model::Gate::kSigmoid;
  std::uint64_t parameters = 0;  // trained
  bool operator==(const QuantizationScheme&) const = default;
};

}  // namespace crosstate::integer
