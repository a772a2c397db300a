// Options that define the shape of a network.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/recurrence.h"
#include "crosstate/task/scope.h"

namespace crosstate::model {

enum class ModeKind { kComplex, kReal };
constexpr auto enum_names(ModeKind) {
  return std::array{Named{"complex", ModeKind::kComplex}, Named{"real", ModeKind::kReal}};
}

/// Functions of a block; the sigmoids are for gates.

enum class Gate { kSigmoid, kHardSigmoid, kNone };
constexpr auto enum_names(Gate) {
  return std::array{Named{"sigmoid", Gate::kSigmoid}, Named{"hard-sigmoid", Gate::kHardSigmoid},
                    Named{"none", Gate::kNone}};
}

enum class Norm { kBatch, kLayer, kNone };
constexpr auto enum_names(Norm) {
  return std::array{Named{"batch", Norm::kBatch}, Named{"layer", Norm::kLayer},
                    Named{"none", Norm::kNone}};
}

enum class Pooling { kMean, kLast };
constexpr auto enum_names(Pooling) {
  return std::array{Named{"mean", Pooling::kMean}, Named{"last", Pooling::kLast}};
}

struct ModelOptions {
  int channels = 16;
  int states = 16;
  int layers = 2;
  ModeKind modes = ModeKind::kComplex;                             // complex | real
  PoleStart init = PoleStart::kLin;                                // lin | inv | legs | real
  Discretization discretization = Discretization::kZeroOrderHold;  // zoh | bilinear
  double dt_min = 1e-3, dt_max = 1e-1;
  double decay = 0.5;  // initial -Re A of lin, inv and legs
  bool train_b = false;
  kernels::Activation activation =
      kernels::Activation::kGelu;                // gelu | hard-gelu | relu | identity
  Gate gate = Gate::kSigmoid;                    // sigmoid | hard-sigmoid | none
  Norm norm = Norm::kBatch;                      // batch | layer | none
  Pooling pooling = Pooling::kMean;              // mean | last; of readout = sequence
  task::Scope readout = task::Scope::kSequence;  // sequence | step
  double dropout = 0;
  int block_length = 28;
};

/// The function of the gate; without a gate the identity, which is never called.
kernels::Activation gate_of(Gate gate);

/// Binds the fields of section "model".
void fields(FieldList& list, ModelOptions& options);
/// Throws Error for invalid combinations (odd number of states with complex modes, dt_min > dt_max,
/// ...).
void validate(const ModelOptions& options);

}  // namespace crosstate::model
