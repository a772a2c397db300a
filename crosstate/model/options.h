// The shape of a network, as a configuration names it.
#pragma once

#include <array>
#include <string>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/recurrence.h"

namespace crosstate {

enum class ModeKind { kComplex, kReal };
template <>
inline constexpr std::array kNames<ModeKind> = {Named{"complex", ModeKind::kComplex},
                                                Named{"real", ModeKind::kReal}};

template <>
inline constexpr std::array kNames<PoleStart> = {
    Named{"lin", PoleStart::kLin}, Named{"inv", PoleStart::kInv}, Named{"legs", PoleStart::kLegs},
    Named{"real", PoleStart::kReal}};

template <>
inline constexpr std::array kNames<Discretization> = {Named{"zoh", Discretization::kZeroOrderHold},
                                                      Named{"bilinear", Discretization::kBilinear}};

/// Of a block; the sigmoids are of gates.
template <>
inline constexpr std::array kNames<Activation> = {
    Named{"gelu", Activation::kGelu}, Named{"hard-gelu", Activation::kHardGelu},
    Named{"relu", Activation::kRelu}, Named{"identity", Activation::kIdentity}};

enum class Gate { kSigmoid, kHardSigmoid, kNone };
template <>
inline constexpr std::array kNames<Gate> = {Named{"sigmoid", Gate::kSigmoid},
                                            Named{"hard-sigmoid", Gate::kHardSigmoid},
                                            Named{"none", Gate::kNone}};

enum class Norm { kBatch, kLayer, kNone };
template <>
inline constexpr std::array kNames<Norm> = {
    Named{"batch", Norm::kBatch}, Named{"layer", Norm::kLayer}, Named{"none", Norm::kNone}};

enum class Pooling { kMean, kLast };
template <>
inline constexpr std::array kNames<Pooling> = {Named{"mean", Pooling::kMean},
                                               Named{"last", Pooling::kLast}};

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
  Activation activation = Activation::kGelu;  // gelu | hard-gelu | relu | identity
  Gate gate = Gate::kSigmoid;                 // sigmoid | hard-sigmoid | none
  Norm norm = Norm::kBatch;                   // batch | layer | none
  Pooling pooling = Pooling::kMean;           // mean | last
  double dropout = 0;
  int block_length = 28;
};

/// The function of the gate; the identity, which is never called, where there is none.
Activation gate_of(Gate gate);

/// Binds the fields of section "model".
void fields(FieldList& list, ModelOptions& options);
/// Throws Error for combinations that no single range excludes (odd states with complex modes,
/// dt_min > dt_max, ...).
void validate(const ModelOptions& options);

}  // namespace crosstate
