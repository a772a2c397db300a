// The shape of a network, as a configuration names it.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/recurrence.h"

namespace crosstate {

struct ModelOptions {
  int channels = 16;
  int states = 16;
  int layers = 2;
  std::string modes = "complex";       // complex | real
  std::string init = "lin";            // lin | inv | legs | real
  std::string discretization = "zoh";  // zoh | bilinear
  double dt_min = 1e-3, dt_max = 1e-1;
  double decay = 0.5;  // initial -Re A of lin, inv and legs
  bool train_b = false;
  std::string activation = "gelu";  // gelu | hard-gelu | relu | identity
  std::string gate = "sigmoid";     // sigmoid | hard-sigmoid | none
  std::string norm = "batch";       // batch | layer | none
  std::string pooling = "mean";     // mean | last
  double dropout = 0;
  int block_length = 28;
};

inline constexpr std::array kActivations = {
    Named<Activation>{"gelu", Activation::kGelu},
    Named<Activation>{"hard-gelu", Activation::kHardGelu},
    Named<Activation>{"relu", Activation::kRelu},
    Named<Activation>{"identity", Activation::kIdentity},
};
/// "none": the pointwise layer has no gate, and the function is never called.
inline constexpr std::array kGates = {
    Named<Activation>{"sigmoid", Activation::kSigmoid},
    Named<Activation>{"hard-sigmoid", Activation::kHardSigmoid},
    Named<Activation>{"none", Activation::kIdentity},
};
inline constexpr std::array kDiscretizations = {
    Named<Discretization>{"zoh", Discretization::kZeroOrderHold},
    Named<Discretization>{"bilinear", Discretization::kBilinear},
};

/// What the options name. Throws Error for a name that is in no table.
Activation activation_of(const ModelOptions& options);
Activation gate_of(const ModelOptions& options);
Discretization discretization_of(const ModelOptions& options);

/// Binds the fields of section "model".
void fields(FieldList& list, ModelOptions& options);
/// Throws Error for combinations that no single range excludes (odd states with complex modes,
/// dt_min > dt_max, ...).
void validate(const ModelOptions& options);

}  // namespace crosstate
